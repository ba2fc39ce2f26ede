"""MASAM, what it is without its parts, and SAM, at the radius that each data set has for them."""

from masam_jax.config.published import settings_of
from masam_jax.core.specs import cut_specification

ROWS = ("MASAM", "w/o APS", "w/o MDPS", "SAM only", "late fusion")
"""Of the paper's ablation."""

_LATE = "late_fusion"
# What `make radii` chose, each by validation scores of other seeds.
_TUNED = {
    "mfeat": (
        "masam:rho=48",
        "masam:rho=6,select=all",
        "masam:rho=24,scale_by_alignment=false",
        "sam:rho=0.01",
        _LATE,
    )
}
_PUBLISHED = ("masam", "masam:select=all", "masam:scale_by_alignment=false", "sam", _LATE)
# Where nothing was tuned: a tenth of the norm of the encoder.
_RELATIVE = "masam:rho=0.1,radius=relative"
_UNTUNED = (
    _RELATIVE,
    f"{_RELATIVE},select=all",
    f"{_RELATIVE},scale_by_alignment=false",
    "sam",
    _LATE,
)


def ablation(dataset: str) -> dict[str, str]:
    """Row of the ablation -> method, late fusion first.

    Without APS every encoder is perturbed; without MDPS the perturbation is not scaled by γ. The
    radius is the published one on the data sets of the paper, the tuned one where it was tuned, and
    else a tenth of the norm of the encoder.

    Args:
      dataset: ``NAME[:OPTION=VALUE,...]``, or where data of one's own are.
    """
    name, _ = cut_specification(dataset)
    settings = settings_of(dataset)
    is_published = settings is not None and bool(settings.published)
    specs = _PUBLISHED if is_published else _TUNED.get(name, _UNTUNED)
    rows = dict(zip(ROWS, specs, strict=True))
    return {"late fusion": rows.pop("late fusion"), **rows}


def compared(dataset: str) -> dict[str, str]:
    """The rows that stand for all where every condition is trained anew, late fusion first."""
    rows = ablation(dataset)
    return {name: rows[name] for name in ("late fusion", "SAM only", "MASAM")}


def masam_of(dataset: str) -> str:
    """MASAM for a data set, as in `ablation`."""
    return ablation(dataset)["MASAM"]
