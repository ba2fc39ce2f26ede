"""What each modality's own head is worth: against the baseline's, or over one run's training."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from masam_jax.analysis import formatting
from masam_jax.analysis.direct_labels import Label, draw_labels, end_label, labels_height
from masam_jax.analysis.palette import BASELINE, HIGHLIGHT, INK, PAPER
from masam_jax.analysis.primary_metric import is_regression, unimodal_key
from masam_jax.analysis.records import Directory, MethodRecord
from masam_jax.analysis.seed_bands import MANY_SEEDS, band_words, seed_band
from masam_jax.analysis.style import (
    WIDTH,
    LineStyle,
    Plot,
    draw_seeds,
    line_styles,
    plot_name,
    step_axis,
    style_axes,
    take_literally,
    wrapped,
)
from masam_jax.training.metric_names import phrase, title

_FUSED = "fused"
# Panels in a row, and characters of a method's name in a line.
_COLUMNS, _NAME_WIDTH = 8, 30
# Whoever lies so many times farther out than three quarters of the others leaves the axis.
_FAR = 6.0


def unimodal_plot(directory: Directory) -> list[Plot]:
    """One plot, or none where no method has heads of its modalities."""
    if len(directory.methods) == 1:
        return _over_training(directory)
    key = unimodal_key(directory.metric)
    shown = [m for m in directory.methods if m.result[directory.split].get(key)]
    compares = any(m is directory.baseline for m in shown) and len(shown) > 1
    return [_differences(directory, shown)] if compares else []


def _differences(directory: Directory, shown: Sequence[MethodRecord]) -> Plot:
    """A panel per modality on one axis: difference to the baseline's head, seed by seed."""
    baseline = directory.baseline
    reference = _heads(directory, baseline)
    others = [m for m in shown if m is not baseline]
    means = {name: _mean(values) for name, values in reference.items()}
    modalities = [name for name in reference if name != _FUSED]
    names = [_FUSED, *sorted(modalities, key=lambda name: -means[name])]
    bands = {
        (row, name): _difference(_heads(directory, method).get(name), reference[name])
        for row, method in enumerate(others)
        for name in names
    }
    limit = _limit(np.array(list(bands.values())))
    columns = min(len(names), _COLUMNS)
    rows = -(-len(names) // columns)
    labels = [wrapped(m.title, _NAME_WIDTH) for m in others]
    row_height = max(0.27, 0.15 * (1 + max(label.count("\n") for label in labels)) + 0.04)
    height = rows * (0.75 + row_height * len(others)) + 0.3
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    axes = list(grid.flat)
    for unused in axes[len(names) :]:
        unused.remove()
    for position, (ax, name) in enumerate(zip(axes, names, strict=False)):
        style_axes(ax, grid="x")
        ax.axvline(0, color=BASELINE, lw=1.2)
        for row in range(len(others)):
            _interval(ax, row, bands[row, name], limit)
        heading = f"{wrapped(name, 10)}\n{formatting.number(means[name], 1)} %"
        ax.set_title(heading, fontsize=8.5, color=INK, parse_math=False)
        ax.tick_params(labelbottom=position + columns >= len(names), labelsize=8)
    first = axes[0]
    first.set_xlim(-limit, limit)
    first.set_ylim(len(others) - 0.4, -0.6)
    for line in range(rows):
        ax = axes[line * columns]
        ax.set_yticks(range(len(others)), labels, fontsize=8)
        take_literally(ax.get_yticklabels())
    metric = phrase(directory.metric)
    figure.supxlabel(f"difference in {directory.split} {metric}, percentage points", fontsize=9)
    caption = (
        f"{title(directory.metric)} of the fused prediction and of each modality's own head on the "
        f"{directory.split} split, against the baseline, {baseline.title}, on the same seed: "
        f"its mean is above each panel, the grey line is no difference. {_marks(directory)}"
    )
    if any(abs(band[1]) > limit for band in bands.values()):
        caption += (
            " A triangle points to a difference outside the axis, whose number is beside it: a "
            f"head whose loss has weight 0 is not trained and {_stays(directory.metric)}."
        )
    return Plot(
        plot_name("unimodal", directory.metric),
        f"{title(directory.metric)} of each modality's head, against the baseline",
        caption,
        figure,
    )


def _heads(directory: Directory, method: MethodRecord) -> dict[str, np.ndarray]:
    """Percent by seed, of the fused prediction and of every modality's head."""
    found: dict[str, Any] = {_FUSED: directory.scores(method)}
    heads = method.result[directory.split].get(unimodal_key(directory.metric)) or {}
    found |= dict(sorted(heads.items()))
    return {
        name: 100 * np.array([np.nan if v is None else v for v in values], np.float64)
        for name, values in found.items()
    }


def _difference(values: np.ndarray | None, reference: np.ndarray) -> tuple[float, float, float]:
    if values is None or values.shape != reference.shape:
        return (np.nan,) * 3
    band = seed_band((values - reference)[None])
    return float(band.low[0]), float(band.middle[0]), float(band.high[0])


def _limit(bands: np.ndarray) -> float:
    """Half the width of the axis: of all differences but those far outside the others."""
    middles = np.abs(bands[:, 1])
    finite = middles[np.isfinite(middles)]
    if not finite.size:
        return 1.0
    usual = max(_FAR * float(np.quantile(finite, 0.75)), 1.0)
    shown = np.abs(bands[middles <= usual])
    return 1.08 * max(float(shown.max(initial=0.0)), 0.1)


def _interval(ax: Axes, row: int, band: tuple[float, float, float], limit: float) -> None:
    low, middle, high = band
    if not np.isfinite(middle):
        return
    if abs(middle) <= limit:
        ax.plot([max(low, -limit), min(high, limit)], [row, row], color=HIGHLIGHT, lw=1.6)
        ax.plot([middle], [row], marker="o", markersize=4, color=INK)
        return
    side = 1 if middle > 0 else -1
    ax.plot([side * 0.9 * limit], [row], marker=">" if side > 0 else "<", color=INK, markersize=4)
    number = formatting.number(middle, 0, signed=True)
    place: dict[str, Any] = {"ha": "right" if side > 0 else "left", "va": "center"}
    paper = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6}
    ax.text(side * 0.72 * limit, row, number, size=8, color=INK, bbox=paper, **place)


def _marks(directory: Directory) -> str:
    seeds = len(directory.baseline.result["seeds"])
    if seeds == 1:
        return "One seed: a dot is its difference."
    many = seeds >= MANY_SEEDS
    bars = "their 10 to 90 % quantiles" if many else "from the lowest to the highest"
    return f"Dots: means of the differences over {seeds} seeds. Bars: {bars}."


def _mean(values: np.ndarray) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def _over_training(directory: Directory) -> list[Plot]:
    """The heads of a single run, and its fused prediction, in one panel."""
    metric, method = directory.metric, directory.methods[0]
    key = unimodal_key(metric)
    traced = method.traced_modalities(key, "validation")
    if not traced:
        return []
    styles = {_FUSED: LineStyle(INK, "-")} | line_styles(traced)
    curves = {name: method.curve("validation", key, name) for name in traced}
    curves = {_FUSED: method.curve("validation", metric)} | curves
    labels, seeds, height = [], 1, 2.7
    found = {name: curve for name, curve in curves.items() if curve is not None}
    names = [Label(name, 0.0, styles[name]) for name in found]
    height = max(height, labels_height(names) + 0.1)
    figure = Figure(figsize=(WIDTH, height + 0.55), layout="constrained")
    ax, margin = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1, 0.3)})
    style_axes(ax)
    step_axis(ax)
    for name, curve in found.items():
        seeds = max(seeds, curve.values.shape[1])
        draw_seeds(ax, curve.steps, 100 * curve.values, styles[name])
        middle = 100 * seed_band(curve.values).middle
        labels.append(end_label(name, middle, styles[name]))
    ax.set_xlabel("training step", fontsize=9)
    ax.set_ylabel(f"validation {phrase(metric)}, %", fontsize=9)
    draw_labels(margin, ax, labels, height)
    caption = (
        f"{title(metric)} of each modality's own head on the validation split, in percent, and of "
        "the fused prediction. A head whose loss has weight 0 is not trained and "
        f"{_stays(metric)}. {band_words(seeds)}"
    )
    heading = f"{title(metric)} of the unimodal heads over training"
    return [Plot(plot_name("unimodal", metric), heading, caption, figure)]


def _stays(metric: str) -> str:
    """How a head is that was not trained."""
    return "estimates at random" if is_regression(metric) else "stays near chance"
