"""The look of the plots: palette, axes, and grids of panels, without pyplot's global state."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

DPI = 150
WIDTH = 6.6  # inches
INK, MUTED, GRID = "#1b1f24", "#6b7280", "#e3e6ea"
HIGHLIGHT, BASELINE = "#0072B2", "#7a7f87"

# Okabe and Ito's colours, which stay apart under the common forms of colour blindness; their
# yellow is left out, since it vanishes on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LINE_STYLES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class LineStyle:
    """How one modality is drawn in every plot: colour first, then dashes beyond six."""

    colour: str
    dashes: str


@dataclass(frozen=True)
class Plot:
    """A figure and what a reader is told about it.

    Attributes:
      name: file name without suffix.
      title: a heading.
      caption: what is shown, with its units and the meaning of bands.
      figure: the drawing.
    """

    name: str
    title: str
    caption: str
    figure: Figure


def plot_name(*words: str) -> str:
    """A file name of words and metrics, as in ``final-test-micro-auprc``."""
    return "-".join(words).replace("_", "-")


def modality_styles(modalities: Sequence[str]) -> dict[str, LineStyle]:
    """A style for each modality, the same in all plots of one report."""
    count = len(_COLOURS)
    return {
        name: LineStyle(_COLOURS[i % count], _LINE_STYLES[i // count % len(_LINE_STYLES)])
        for i, name in enumerate(modalities)
    }


def panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` equal panels with shared axes, filled row by row.

    Args:
      count: number of panels, at least 1. Up to 8 stand two in a row, more of them three; a
          single panel gets the whole width.

    Returns:
      The figure and its axes.
    """
    columns = min(count, 2 if count <= 8 else 3)
    rows = -(-count // columns)
    height = (3.45, 2.3, 1.75)[columns - 1]
    figure = Figure(figsize=(WIDTH, rows * height), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    axes = list(grid.flat)
    for unused in axes[count:]:
        unused.remove()
    for position, ax in enumerate(axes[:count]):
        style_axes(ax)
        # The panel above a gap keeps its tick labels, which sharing would hide.
        ax.tick_params(labelbottom=position + columns >= count)
    return figure, axes[:count]


def style_axes(ax: Axes, *, grid: str = "y") -> None:
    """Quiet axes: no frame but the bottom line, light grid behind the data, small ticks."""
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.spines["bottom"].set_color(MUTED)
    ax.tick_params(labelsize=8.5, colors=INK, length=0)
    ax.tick_params(axis="x", length=3, color=MUTED)
    ax.tick_params(axis="y", which="minor", length=0)
    if grid in ("x", "y"):
        ax.grid(axis="x" if grid == "x" else "y", color=GRID, linewidth=0.8)
    ax.set_axisbelow(True)


def step_axis(ax: Axes) -> None:
    """Whole, not too many, training steps on the horizontal axis."""
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    ax.margins(x=0.01)


def wrapped(text: str, width: int) -> str:
    """A name in lines of ``width`` characters or less, broken at spaces, hyphens, underscores."""
    # Only spaces and hyphens end a line of textwrap's; options have underscores.
    return textwrap.fill(text.replace("_", "_ "), width).replace("_ ", "_")


def panel_title(ax: Axes, text: str) -> None:
    """A left-aligned panel title, taken literally (no math text), in lines as wide as the panel."""
    place = ax.get_subplotspec()
    columns = place.get_gridspec().ncols if place else 1
    lines = wrapped(text, (90, 44, 30)[columns - 1])
    size = 9.5 if columns < 3 else 8.5
    ax.set_title(lines, loc="left", fontsize=size, color=INK, parse_math=False)


def mean_band(
    ax: Axes, steps: np.ndarray, values: np.ndarray, line: LineStyle, *, width: float = 1.6
) -> None:
    """Mean over seeds with a band of one standard deviation (ddof = 1) to each side.

    Args:
      ax: where to draw.
      steps: [T].
      values: [T, S]; seeds that are not finite at a step are left out there.
      line: colour and dashes.
      width: line width in points.
    """
    finite = np.ma.masked_invalid(values)
    mean = finite.mean(axis=1)
    # One logged step makes no line.
    marker = "o" if steps.size == 1 else "None"
    ax.plot(steps, mean, color=line.colour, ls=line.dashes, lw=width, marker=marker, markersize=4)
    if values.shape[1] > 1:
        std = finite.std(axis=1, ddof=1)
        ax.fill_between(steps, mean - std, mean + std, color=line.colour, alpha=0.15, lw=0)


def legend_above(figure: Figure, entries: dict[str, LineStyle]) -> None:
    """One legend for the whole figure, above the panels, so that it covers no data."""
    handles = [Line2D([], [], color=s.colour, ls=s.dashes, lw=2.2) for s in entries.values()]
    legend = figure.legend(
        handles,
        list(entries),
        loc="outside upper left",
        ncols=_legend_columns(list(entries)),
        frameon=False,
        fontsize=9,
        handlelength=1.6,
        columnspacing=1.4,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _legend_columns(labels: Sequence[str]) -> int:
    """As many columns as fit on one line of the figure's width, at about 90 characters."""
    return max(1, min(len(labels), int(90 / (max(map(len, labels)) + 6))))
