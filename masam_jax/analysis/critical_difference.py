"""The critical-difference diagram: mean ranks over seeds, and which of them differ."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from masam_jax.analysis import formatting
from masam_jax.analysis.palette import BASELINE, HIGHLIGHT, INK, MUTED
from masam_jax.analysis.ranks import MIN_BLOCKS, MIN_METHODS, RankComparison, compare_ranks
from masam_jax.analysis.records import Directory
from masam_jax.analysis.style import WIDTH, Plot, wrapped
from masam_jax.training.metric_names import phrase

# All lengths are inches: the drawing is text at its own size, joined by lines.
_NAME_WIDTH = 1.64
_NUMBER_WIDTH = 0.36
_LEFT = _NAME_WIDTH + _NUMBER_WIDTH
_AXIS_Y = 0.78
_BAR_STEP = 0.11
_LINE_HEIGHT = 0.145
# Characters of a name per line.
_WRAP = 22


def critical_difference_plot(directory: Directory) -> list[Plot]:
    """The diagram, where there are at least three methods and three seeds to rank.

    Args:
      directory: from `read_directory`.

    Returns:
      One plot, or none.

    Raises:
      ValueError: if the methods have different numbers of seeds.
    """
    if len(directory.methods) < MIN_METHODS or len(directory.baseline.result["seeds"]) < MIN_BLOCKS:
        return []
    scores = [directory.scores(method) for method in directory.methods]
    ranks = compare_ranks(scores)
    titles = [method.title for method in directory.methods]
    baseline = next(i for i, m in enumerate(directory.methods) if m is directory.baseline)
    figure = draw_ranks(ranks, titles, baseline=baseline)
    diverged = any(v is None or not math.isfinite(v) for values in scores for v in values)
    caption = _caption(ranks, f"{directory.split} {phrase(directory.metric)}", diverged)
    return [Plot("critical-difference", "Mean ranks and critical difference", caption, figure)]


def draw_ranks(ranks: RankComparison, titles: Sequence[str], *, baseline: int) -> Figure:
    """Demšar's diagram: the better half of the methods on the left, the other on the right.

    Args:
      ranks: the comparison.
      titles: the methods' names, in its order.
      baseline: position of the method drawn in grey.

    Returns:
      The figure.
    """
    count = len(titles)
    names = [wrapped(title, _WRAP) for title in titles]
    levels = _bar_levels(ranks)
    top = _AXIS_Y + 0.14 + _BAR_STEP * (1 + max(levels, default=0)) + 0.16
    left, right = ranks.order[: (count + 1) // 2], ranks.order[(count + 1) // 2 :][::-1]
    rows_left, rows_right = (_row_positions([names[i] for i in s], top) for s in (left, right))
    height = max(rows_left + rows_right) + 0.3
    figure = Figure(figsize=(WIDTH, height))
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set_xlim(0, WIDTH)
    ax.set_ylim(height, 0)
    ax.set_axis_off()
    _axis(ax, count)
    _critical_difference_bar(ax, ranks, count)
    for side, rows, is_left in ((left, rows_left, True), (right, rows_right, False)):
        for method, y in zip(side, rows, strict=True):
            colour = BASELINE if method == baseline else HIGHLIGHT
            x = _position(ranks.mean_ranks[method], count)
            _elbow(ax, x, y, names[method], ranks.mean_ranks[method], colour, is_left=is_left)
    for clique, level in zip(ranks.cliques, levels, strict=True):
        ends = [_position(ranks.mean_ranks[clique[i]], count) for i in (0, -1)]
        y = _AXIS_Y + 0.14 + _BAR_STEP * level
        ax.plot(
            [ends[0] - 0.03, ends[1] + 0.03],
            [y, y],
            color=INK,
            lw=3.2,
            solid_capstyle="butt",
            zorder=3,
            gid="clique",
        )
    return figure


def _position(rank: float, count: int) -> float:
    return _LEFT + (rank - 1) / (count - 1) * (WIDTH - 2 * _LEFT)


def _axis(ax: Axes, count: int) -> None:
    ends = [_position(1, count), _position(count, count)]
    ax.plot(ends, [_AXIS_Y, _AXIS_Y], color=MUTED, lw=1.0)
    every = 1 if count <= 10 else 2 if count <= 20 else 5
    ticks = [rank for rank in range(1, count + 1) if rank == 1 or rank % every == 0]
    for rank in ticks:
        x = _position(rank, count)
        ax.plot([x, x], [_AXIS_Y - 0.05, _AXIS_Y], color=MUTED, lw=1.0)
        ax.text(x, _AXIS_Y - 0.08, str(rank), ha="center", va="bottom", fontsize=8.5, color=INK)
    ax.text(0.1, _AXIS_Y - 0.08, "mean rank (1 is best)", va="bottom", fontsize=9, color=INK)


def _critical_difference_bar(ax: Axes, ranks: RankComparison, count: int) -> None:
    """The length that counts, above the axis."""
    start, end = _position(1, count), _position(1 + ranks.critical_difference, count)
    y = _AXIS_Y - 0.42
    ax.plot([start, end], [y, y], color=INK, lw=1.2)
    for x in (start, end):
        ax.plot([x, x], [y - 0.05, y + 0.05], color=INK, lw=1.2)
    label = f"critical difference {formatting.number(ranks.critical_difference)}"
    ax.text((start + end) / 2, y - 0.07, label, ha="center", va="bottom", fontsize=8.5, color=INK)


def _elbow(
    ax: Axes, x: float, y: float, name: str, rank: float, colour: str, *, is_left: bool
) -> None:
    """From the rank on the axis down, then out to the name."""
    edge = _NAME_WIDTH if is_left else WIDTH - _NAME_WIDTH
    ax.plot([x, x, edge], [_AXIS_Y, y, y], color=colour, lw=1.1, solid_joinstyle="miter")
    inward, outward = (1, "right") if is_left else (-1, "left")
    ax.text(
        edge - 0.06 * inward,
        y,
        name,
        ha=outward,
        va="center",
        fontsize=8.5,
        color=INK,
        linespacing=1.05,
        parse_math=False,
    )
    ax.text(
        edge + 0.02 * inward,
        y - 0.015,
        formatting.number(rank),
        ha="left" if is_left else "right",
        va="bottom",
        fontsize=7.5,
        color=MUTED,
    )


def _bar_levels(ranks: RankComparison) -> list[int]:
    """A level for each clique, so that no two bars on one level touch."""
    reached: list[float] = []
    levels = []
    gap = 0.2 * (len(ranks.mean_ranks) - 1) / (WIDTH - 2 * _LEFT)
    for clique in ranks.cliques:
        first, last = (ranks.mean_ranks[clique[i]] for i in (0, -1))
        level = next((i for i, end in enumerate(reached) if end + gap < first), len(reached))
        if level == len(reached):
            reached.append(last)
        reached[level] = last
        levels.append(level)
    return levels


def _row_positions(names: Sequence[str], top: float) -> list[float]:
    """Heights of the names of one side, each with room for its lines."""
    positions = []
    y = top
    for name in names:
        half = (name.count("\n") + 1) * _LINE_HEIGHT / 2 + 0.05
        positions.append(y + half)
        y += 2 * half
    return positions


def _caption(ranks: RankComparison, score: str, diverged: bool) -> str:
    test = f"χ² = {formatting.number(ranks.statistic, 1)}, p = {formatting.p_value(ranks.p_value)}"
    text = (
        f"Mean rank by {score} over {ranks.blocks} seeds; 1 is the best, ties share their average "
        "rank. "
    )
    if diverged:
        text += "A seed that diverged ranks last. "
    if ranks.p_value < ranks.level:
        text += (
            f"Friedman's test says that the methods differ ({test}). A bar joins methods that "
            f"Nemenyi's test at level {ranks.level} does not tell apart: their mean ranks are "
            f"closer than the critical difference, {formatting.number(ranks.critical_difference)}."
        )
    else:
        text += (
            f"Friedman's test at level {ranks.level} does not tell the methods apart ({test}), so "
            "one bar joins them all; Nemenyi's critical difference is shown for scale."
        )
    return text + (
        " The blocks are seeds of one data set, a weaker design than Demšar's many data sets: "
        "seeds share the test samples, and the ranks speak of this data set alone."
    )
