"""Names beside the ends of lines, apart from each other, in the place of a legend."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from masam_jax.analysis.palette import INK
from masam_jax.analysis.style import LineStyle, wrapped

# Inches a line of text takes, and characters in one.
LINE_HEIGHT = 0.155
_WIDTH = 32


class Label(NamedTuple):
    """A name, and the line whose it is.

    Attributes:
      text: the name.
      end: the line's last value.
      style: the line's.
      reaches: whether the line goes on to the last step, and can be led to.
    """

    text: str
    end: float
    style: LineStyle
    reaches: bool = True


def end_label(text: str, values: np.ndarray, style: LineStyle) -> Label:
    """The label of a line ``[T]``, at its last value that is a number."""
    known = values[np.isfinite(values)]
    end = float(known[-1]) if known.size else math.nan
    return Label(text, end, style, bool(np.isfinite(values[-1])))


def labels_height(labels: Sequence[Label]) -> float:
    """Inches that the names need."""
    return sum(_height(label) for label in labels)


def draw_labels(margin: Axes, curves: Axes, labels: Sequence[Label], height: float) -> None:
    """Writes the names into axes to the right of the lines, and leads to them from the lines.

    Args:
      margin: empty axes, as high as those of the lines.
      curves: the axes of the lines; their limits are final.
      labels: in any order.
      height: inches of both axes.
    """
    margin.set_axis_off()
    margin.set_xlim(0, 1)
    margin.set_ylim(0, 1)
    scale = math.log10 if curves.get_yscale() == "log" else float
    low, high = (scale(limit) for limit in curves.get_ylim())
    known = [label for label in labels if math.isfinite(label.end)]
    ends = [min(1.0, max(0.0, (scale(label.end) - low) / (high - low))) for label in known]
    places = spread(ends, [_height(label) / height for label in known])
    for label, end, place in zip(known, ends, places, strict=True):
        colour, dashes = label.style.colour, label.style.dashes
        way = ([0.0, 0.07, 0.14], [end, place, place])
        xs, ys = way if label.reaches else (way[0][1:], way[1][1:])
        margin.plot(xs, ys, color=colour, ls=dashes, lw=1.4)
        margin.text(
            0.16,
            place,
            wrapped(label.text, _WIDTH),
            va="center",
            size=8,
            color=INK,
            linespacing=1.0,
            parse_math=False,
        )


def spread(wanted: Sequence[float], heights: Sequence[float]) -> list[float]:
    """Places nearest to the wanted ones at which no two overlap, in their order, within 0 to 1.

    Where there is not enough room for all, they leave it upwards.

    Args:
      wanted: where each would like its middle.
      heights: of each.

    Examples:
      >>> spread([0.5, 0.5], [0.2, 0.2])
      [0.4, 0.6]
    """
    order = np.argsort(np.asarray(wanted, np.float64), kind="stable")
    # Least squares under an order: neighbours that would overlap move as one.
    groups: list[tuple[list[int], float]] = []
    for index in order.tolist():
        group = ([index], wanted[index] - heights[index] / 2)
        while groups and groups[-1][1] + _total(groups[-1][0], heights) > group[1]:
            group = _joined(groups.pop(), group, heights)
        groups.append(group)
    bottoms = [bottom for _, bottom in groups]
    places = [0.0] * len(order)
    ceiling = 1.0
    for position in reversed(range(len(groups))):
        total = _total(groups[position][0], heights)
        bottoms[position] = min(bottoms[position], ceiling - total)
        ceiling = bottoms[position]
    floor = 0.0
    for (members, _), bottom in zip(groups, bottoms, strict=True):
        floor = max(bottom, floor)
        for index in members:
            places[index] = floor + heights[index] / 2
            floor += heights[index]
    return [round(place, 9) for place in places]


def _joined(
    below: tuple[list[int], float], above: tuple[list[int], float], heights: Sequence[float]
) -> tuple[list[int], float]:
    """Two groups as one, whose bottom is the mean of what its members would like."""
    shift = _total(below[0], heights)
    count = len(below[0]) + len(above[0])
    bottom = (len(below[0]) * below[1] + len(above[0]) * (above[1] - shift)) / count
    return below[0] + above[0], bottom


def _total(members: Sequence[int], heights: Sequence[float]) -> float:
    return sum(heights[index] for index in members)


def _height(label: Label) -> float:
    return (wrapped(label.text, _WIDTH).count("\n") + 1) * LINE_HEIGHT
