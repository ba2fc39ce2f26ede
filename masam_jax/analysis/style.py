"""The look of the plots: axes, lines and names, without pyplot's global state."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator, NullLocator

from masam_jax.analysis.palette import COLOURS, GRID, INK, MUTED
from masam_jax.analysis.seed_bands import seed_band

DPI = 150
WIDTH = 6.6  # inches
_LINE_STYLES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class LineStyle:
    """How one modality, or method, is drawn: colour first, then dashes beyond six."""

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
      folded: whether a report shows it only to who asks for it.
    """

    name: str
    title: str
    caption: str
    figure: Figure
    folded: bool = False


def few_log_ticks(axis: Axis) -> None:
    """At most three round numbers, however few decades a logarithmic axis has.

    Args:
      axis: of a plot that has all its lines.
    """
    low, high = sorted(axis.get_view_interval())
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    decades = [10.0**k for k in exponents if low <= 10.0**k <= high]
    ticks = [d * 10.0**k for k in exponents for d in (1, 2, 3, 5) if low <= d * 10.0**k <= high]
    chosen = decades if len(decades) > 2 else ticks
    if chosen := chosen[:: max(1, math.ceil(len(chosen) / 3))]:
        axis.set_ticks(chosen, [f"{tick:g}" for tick in chosen])
        axis.set_minor_locator(NullLocator())


def plot_name(*words: str) -> str:
    """A file name of words and metrics, as in ``final-test-micro-auprc``."""
    return "-".join(words).replace("_", "-")


def line_styles(names: Sequence[str]) -> dict[str, LineStyle]:
    """A style for each modality or method, the same in all plots of one report."""
    count = len(COLOURS)
    return {
        name: LineStyle(COLOURS[i % count], _LINE_STYLES[i // count % len(_LINE_STYLES)])
        for i, name in enumerate(names)
    }


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
    ax.yaxis.get_offset_text().set_fontsize(8)


def step_axis(ax: Axes) -> None:
    """Whole, not too many, training steps on the horizontal axis."""
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    ax.margins(x=0.01)


def wrapped(text: str, width: int) -> str:
    """A name in lines of ``width`` characters or less, broken at spaces, hyphens, underscores."""
    # Only spaces and hyphens end a line of textwrap's; options have underscores.
    return textwrap.fill(text.replace("_", "_ "), width).replace("_ ", "_")


def panel_title(ax: Axes, text: str, *, width: int = 44) -> None:
    """A left-aligned panel title, taken literally (no math text), in lines of ``width``."""
    ax.set_title(wrapped(text, width), loc="left", fontsize=9, color=INK, parse_math=False)


def take_literally(texts: Iterable[Text]) -> None:
    """Names are no math text, whatever signs are in them."""
    for text in texts:
        text.set_parse_math(False)


def draw_seeds(
    ax: Axes,
    steps: np.ndarray,
    values: np.ndarray,
    line: LineStyle,
    *,
    width: float = 1.6,
    band: bool = True,
    positive: bool = False,
) -> None:
    """A line over seeds with a band of quantiles, see `seed_bands`.

    Args:
      ax: where to draw.
      steps: [T].
      values: [T, S].
      line: colour and dashes.
      width: line width in points.
      band: whether to draw the band too.
      positive: whether the axis is logarithmic. A line that ends since its median is 0 from there
        on ends in a triangle that points down.
    """
    low, middle, high = seed_band(values, positive=positive)
    # One logged step makes no line.
    marker = "o" if steps.size == 1 else "None"
    ax.plot(steps, middle, color=line.colour, ls=line.dashes, lw=width, marker=marker, markersize=4)
    if positive:
        ends = np.isfinite(middle) & np.append(np.isnan(middle[1:]), False)
        ax.plot(steps[ends], middle[ends], color=line.colour, ls="", marker="v", markersize=5)
    if band and values.shape[1] > 1:
        ax.fill_between(steps, low, high, color=line.colour, alpha=0.16, lw=0)


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
    take_literally(legend.get_texts())


def _legend_columns(labels: Sequence[str]) -> int:
    """As many columns as fit on one line of the figure's width, at about 90 characters."""
    return max(1, min(len(labels), int(90 / (max(map(len, labels)) + 6))))
