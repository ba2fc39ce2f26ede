"""Where the methods end: scores, and differences to the baseline, seed by seed."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from masam_jax.analysis import formatting
from masam_jax.analysis.palette import BASELINE, HIGHLIGHT, INK, MUTED
from masam_jax.analysis.records import Directory
from masam_jax.analysis.seed_bands import MANY_SEEDS, seed_band
from masam_jax.analysis.statistics import paired_test, summarize
from masam_jax.analysis.style import (
    WIDTH,
    Plot,
    plot_name,
    style_axes,
    wrapped,
)
from masam_jax.training.metric_names import phrase, title

# Characters: longer names take a second line rather than room from the data.
_NAME_WIDTH = 26


def final_score_plots(directory: Directory) -> list[Plot]:
    """Final score per method, and paired differences where there are pairs to compare."""
    plots = [_final_scores(directory)]
    if len(directory.methods) > 1 and len(directory.baseline.result["seeds"]) > 1:
        plots.append(_paired_differences(directory))
    return plots


def _final_scores(directory: Directory) -> Plot:
    figure, ax = _method_rows(len(directory.methods))
    labels = []
    for row, method in enumerate(directory.methods):
        values = _finite(directory.scores(method)) * 100
        summary = summarize(directory.scores(method))
        colour = BASELINE if _is_baseline(directory, row) else HIGHLIGHT
        _dots(ax, row, values, colour)
        if summary.mean is not None:
            band = seed_band(values[None])
            _interval(ax, row, summary.mean * 100, float(band.low[0]), float(band.high[0]))
        labels.append(formatting.percent(summary))
    _name_rows(ax, [m.title for m in directory.methods], labels)
    metric = phrase(directory.metric)
    ax.set_xlabel(f"{directory.split} {metric}, %", fontsize=9)
    seeds = len(directory.baseline.result["seeds"])
    caption = f"{title(directory.metric)} on the {directory.split} split, in percent. "
    if seeds > 1:
        many = seeds >= MANY_SEEDS
        bars = "10 to 90 % quantile of the seeds" if many else "lowest to highest seed"
        caption += (
            f"Small dots: {seeds} seeds. Large dot: their mean. Bar: {bars}. Numbers at the right: "
            "mean ± standard deviation."
        )
    else:
        caption += "One seed, so there is no spread to show."
    if len(directory.methods) > 1:
        caption += f" Grey dots: the baseline, {directory.baseline.title}."
    heading = f"{directory.split.capitalize()} {metric}"
    name = plot_name("final", directory.split, directory.metric)
    return Plot(name, heading, caption, figure)


def _paired_differences(directory: Directory) -> Plot:
    baseline = directory.baseline
    others = [m for m in directory.methods if m is not baseline]
    figure, ax = _method_rows(len(others))
    ax.axvline(0, color=BASELINE, lw=1.2)
    reference = directory.scores(baseline)
    labels = []
    for row, method in enumerate(others):
        scores = directory.scores(method)
        pairs = zip(scores, reference, strict=True)
        _dots(ax, row, _finite([_minus(a, b) for a, b in pairs]) * 100, HIGHLIGHT)
        test = paired_test(scores, reference)
        mean, interval = test.mean_difference, test.interval()
        if mean is not None:
            low, high = interval or (mean, mean)
            _interval(ax, row, mean * 100, low * 100, high * 100)
        labels.append(formatting.number(None if mean is None else mean * 100, signed=True))
    _name_rows(ax, [m.title for m in others], labels)
    metric = phrase(directory.metric)
    ax.set_xlabel(f"difference in {directory.split} {metric}, percentage points", fontsize=9)
    caption = (
        f"Difference to the baseline, {baseline.title}, on the same seed, in percentage points; "
        "right of the grey line is better. Small dots: seeds. Large dot, number: their mean. Bar: "
        "95 % confidence interval of the mean (Student's t, not corrected for the number of "
        "methods)."
    )
    return Plot("paired-differences", "Difference to the baseline, seed by seed", caption, figure)


def _method_rows(count: int) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, 0.75 + 0.42 * count), layout="constrained")
    ax = figure.subplots()
    style_axes(ax, grid="x")
    ax.set_ylim(count - 0.45, -0.55)
    return figure, ax


def _name_rows(ax: Axes, names: list[str], values: list[str]) -> None:
    """Methods at the left edge, their numbers at the right one: no legend is needed."""
    ax.set_yticks(range(len(names)), [wrapped(n, _NAME_WIDTH) for n in names], fontsize=9)
    right = ax.twinx()
    right.set_ylim(ax.get_ylim())
    right.set_yticks(range(len(values)), values, fontsize=9)
    for axis in (ax, right):
        for label in axis.get_yticklabels():
            label.set_parse_math(False)
    for spine in right.spines.values():
        spine.set_visible(False)
    right.tick_params(length=0, colors=INK)
    ax.spines["bottom"].set_color(MUTED)


def _dots(ax: Axes, row: int, values: np.ndarray, colour: str) -> None:
    """Seeds as dots, shifted by their position so that equal values stay visible."""
    offsets = np.linspace(-0.2, 0.2, values.size) if values.size > 1 else np.zeros(values.size)
    ax.scatter(values, row + offsets, s=14, color=colour, alpha=0.45, linewidths=0)


def _interval(ax: Axes, row: int, mean: float, low: float, high: float) -> None:
    if high > low:
        ax.plot([low, high], [row, row], color=INK, lw=1.6)
    ax.plot([mean], [row], marker="o", markersize=5, color=INK)


def _finite(values: list[float | None]) -> np.ndarray:
    array = np.array([np.nan if v is None else v for v in values], np.float64)
    return array[np.isfinite(array)]


def _minus(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left - right


def _is_baseline(directory: Directory, row: int) -> bool:
    return len(directory.methods) > 1 and directory.methods[row] is directory.baseline
