"""A report as long as that of ``make demo``, without training."""

from pathlib import Path

from masam_jax.analysis.report import write_report
from tests.analysis.fake_directories import METHODS, write_comparison, write_counts

# As many methods, seeds and modalities as the demo has, with names as long.
_DEMO = (
    ("fusion_only", "fusion loss alone", 0.932, False),
    *METHODS[:2],
    ("masam", "MASAM ρ=0.3", 0.935, True),
    ("masam:rho=48", "MASAM ρ=48", 0.947, True),
    ("masam:rho=6,select=all", "MASAM ρ=6, select=all", 0.944, True),
    ("masam:rho=24,select=random", "MASAM ρ=24, select=random", 0.946, True),
    ("masam:rho=24,scale_by_alignment=false", "MASAM ρ=24, γ:=1", 0.942, True),
    (
        "masam:rho=0.1,select=all,scale_by_alignment=false,radius=relative,correct_other=true",
        "MASAM ρ=0.1, select=all, γ:=1, relative, head corrected",
        0.954,
        True,
    ),
)


def write_demo_report(folder: Path) -> Path:
    """The path of a report in a new directory below ``folder``."""
    directory = folder / "demo"
    modalities = ("fac", "fou", "kar", "mor", "pix", "zer")
    write_comparison(directory, seeds=16, methods=_DEMO, modalities=modalities, steps=600, every=20)
    write_counts(directory, 10)
    return write_report(directory)
