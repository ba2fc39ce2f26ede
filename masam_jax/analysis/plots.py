"""All plots of a comparison or run directory, as files."""

import io
from pathlib import Path

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg

from masam_jax.analysis.critical_difference import critical_difference_plot
from masam_jax.analysis.final_scores import final_score_plots
from masam_jax.analysis.flatness_curves import flatness_curves
from masam_jax.analysis.learning_curves import learning_curves
from masam_jax.analysis.modality_plots import modality_plots
from masam_jax.analysis.records import Directory, read_directory
from masam_jax.analysis.reported_plots import reported_plots
from masam_jax.analysis.style import DPI, Plot
from masam_jax.analysis.unimodal_plot import unimodal_plot
from masam_jax.training.storage.atomic_files import write_bytes, write_text


def make_plots(directory: Directory) -> list[Plot]:
    """Every plot that the directory's records allow, in the order of a report.

    Args:
      directory: from `read_directory`.

    Returns:
      Final scores; paired differences to the baseline (several methods and seeds); the
      critical-difference diagram (three methods and seeds); learning curves with seed bands;
      the modalities' own heads; for methods that choose a modality, the share of steps in which
      each was dominant; for MASAM score, alignment and decay over time; for others, what they
      reported; of runs that measured along training, the flatness of every encoder.
    """
    return [
        *final_score_plots(directory),
        *critical_difference_plot(directory),
        *learning_curves(directory),
        *unimodal_plot(directory),
        *modality_plots(directory),
        *reported_plots(directory),
        *flatness_curves(directory),
    ]


def write_plot(plot: Plot, folder: Path) -> Path:
    """Writes one plot as ``folder/<name>.png`` at 150 dpi, and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{plot.name}.png"
    FigureCanvasAgg(plot.figure)
    # No "Software" entry with a version: the same records give the same bytes.
    picture = io.BytesIO()
    plot.figure.savefig(
        picture, format="png", dpi=DPI, facecolor="white", metadata={"Software": None}
    )
    write_bytes(path, picture.getvalue())
    return path


def write_svg(plot: Plot, folder: Path) -> Path:
    """Writes one plot as ``folder/<name>.svg``, text as shapes, and returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{plot.name}.svg"
    drawn = io.StringIO()
    # Without a salt, ids differ from one time to the next.
    with rc_context({"svg.fonttype": "path", "svg.hashsalt": plot.name}):
        plot.figure.savefig(drawn, format="svg", facecolor="white", metadata={"Date": None})
    write_text(path, drawn.getvalue())
    return path


def save_plots(directory: str | Path) -> list[Path]:
    """Draws all plots of a comparison or run directory into its ``plots/``.

    Args:
      directory: a directory with ``results.json`` or ``result.json``.

    Returns:
      The PNG files' paths, in the order of a report.

    Raises:
      ValueError: if the directory's records are missing or damaged.
    """
    record = read_directory(directory)
    return [write_plot(plot, record.path / "plots") for plot in make_plots(record)]
