"""How the methods get there: score and loss over training, all methods in one plot."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from masam_jax.analysis.direct_labels import draw_labels, end_label, labels_height
from masam_jax.analysis.palette import BASELINE, COLOURS
from masam_jax.analysis.primary_metric import is_regression
from masam_jax.analysis.records import Curve, Directory, MethodRecord
from masam_jax.analysis.seed_bands import band_words, seed_band
from masam_jax.analysis.statistics import summarize
from masam_jax.analysis.style import (
    WIDTH,
    LineStyle,
    Plot,
    draw_seeds,
    few_log_ticks,
    line_styles,
    plot_name,
    step_axis,
    style_axes,
)
from masam_jax.training.metric_names import phrase, title

# So many bands can be told from each other; of more methods only two are drawn.
_MOST_BANDS = 3
# Inches for the axis below the curves.
_AXIS = 0.55


def learning_curves(directory: Directory) -> list[Plot]:
    """Validation score and training loss, each if it was logged."""
    candidates = [_validation_scores(directory), _training_loss(directory)]
    return [plot for plot in candidates if plot is not None]


def _validation_scores(directory: Directory) -> Plot | None:
    metric = directory.metric
    curves = _curves(directory, "validation", metric, scale=100)
    if not curves:
        return None
    figure, words = _all_methods(directory, curves, f"validation {phrase(metric)}, %")
    caption = (
        f"{title(metric)} on the validation split, in percent; the axis leaves out the steep start."
        f" {words}"
    )
    heading = f"Validation {phrase(metric)} over training"
    return Plot(plot_name("validation", metric), heading, caption, figure)


def _training_loss(directory: Directory) -> Plot | None:
    curves = _curves(directory, "train", "fusion_loss")
    if not curves:
        return None
    has_zeros = any((curve.values <= 0).any() for _, curve in curves)
    quantity, what = "fusion loss, nats", "Fusion cross-entropy of the training batches, in nats,"
    if is_regression(directory.metric):
        quantity, what = "fusion loss", "Error of the standardised targets of the training batches,"
    figure, words = _all_methods(directory, curves, quantity, logarithmic=True)
    caption = f"{what} on a logarithmic axis. {words}"
    if has_zeros:
        caption += (
            " A loss of exactly 0, below what float32 resolves, has no place on this axis: a line "
            "ends in a triangle where the median becomes 0, a band at the least loss above 0."
        )
    return Plot("training-loss", "Fusion loss over training", caption, figure)


_Curves = Sequence[tuple[MethodRecord, Curve]]


def _curves(directory: Directory, split: str, key: str, *, scale: float = 1.0) -> _Curves:
    """The curve of every method that logged it."""
    found = [(m, m.curve(split, key)) for m in directory.methods]
    return [(m, Curve(c.steps, c.values * scale)) for m, c in found if c is not None]


def _all_methods(
    directory: Directory, curves: _Curves, quantity: str, *, logarithmic: bool = False
) -> tuple[Figure, str]:
    """One plot of all methods, with their names at its right; also what its marks mean."""
    styles = method_styles(directory)
    banded = banded_methods(directory, [method for method, _ in curves])
    labels = []
    for method, curve in curves:
        middle = seed_band(curve.values, positive=logarithmic).middle
        labels.append(end_label(method.title, middle, styles[id(method)]))
    alone = len(curves) == 1
    height = 2.7 if alone else max(2.7, labels_height(labels) + 0.1)
    figure = Figure(figsize=(WIDTH, height + _AXIS), layout=ConstrainedLayoutEngine(w_pad=0.02))
    ratios = (1, 0.001) if alone else (1, 0.52)
    ax, margin = figure.subplots(1, 2, gridspec_kw={"width_ratios": ratios})
    style_axes(ax)
    step_axis(ax)
    for method, curve in curves:
        is_baseline = method is directory.baseline and not alone
        draw_seeds(
            ax,
            curve.steps,
            curve.values,
            styles[id(method)],
            width=2.2 if is_baseline else 1.5,
            band=any(method is other for other in banded),
            positive=logarithmic,
        )
    focus = _logarithmic if logarithmic else _focus_on_the_end
    focus(ax, [c for _, c in curves], [c for m, c in curves if any(m is b for b in banded)])
    ax.set_xlabel("training step", fontsize=9)
    ax.set_ylabel(quantity, fontsize=9)
    if alone:
        margin.remove()
    else:
        draw_labels(margin, ax, labels, height)
    return figure, _words(directory, curves, banded, logarithmic)


def method_styles(directory: Directory) -> dict[int, LineStyle]:
    """The baseline in grey, the others in colours, by identity: two may have one title."""
    others = [m for m in directory.methods if m is not directory.baseline]
    found = line_styles([str(i) for i in range(len(others))])
    styles = {id(m): s for m, s in zip(others, found.values(), strict=True)}
    alone = LineStyle(COLOURS[0], "-") if not others else LineStyle(BASELINE, "-")
    return styles | {id(directory.baseline): alone}


def banded_methods(directory: Directory, methods: Sequence[MethodRecord]) -> list[MethodRecord]:
    """Whose bands are drawn: of many methods the baseline's and the one of the highest score."""
    if len(methods) <= _MOST_BANDS:
        return list(methods)
    means = {id(m): summarize(directory.scores(m)).mean for m in methods}
    ranked = sorted(methods, key=lambda m: -(means[id(m)] or 0.0))
    best = next((m for m in ranked if m is not directory.baseline), None)
    return [m for m in methods if m is directory.baseline or m is best]


def _words(
    directory: Directory, curves: _Curves, banded: Sequence[MethodRecord], logarithmic: bool
) -> str:
    seeds = max(curve.values.shape[1] for _, curve in curves)
    words = band_words(seeds, positive=logarithmic)
    if len(curves) == 1:
        return words
    if seeds > 1 and len(banded) < len(curves):
        best = [m.title for m in banded if m is not directory.baseline]
        names = " and ".join([f"the baseline, {directory.baseline.title}", *best])
        words = words[:-1] + f", of {names} (highest {directory.split} score) alone."
    return f"{words} Grey: the baseline, {directory.baseline.title}."


def _focus_on_the_end(ax: Axes, curves: Sequence[Curve], banded: Sequence[Curve]) -> None:
    """Starts the axis of scores where the methods are after a quarter of training.

    The rise from chance takes a few steps and most of the axis; differences of a point, which
    the plot is for, would be invisible under it.
    """
    drawn: list[np.ndarray] = []
    for curve in curves:
        late = curve.values[curve.steps >= curve.steps[-1] / 4]
        band = seed_band(late)
        drawn += list(band) if any(curve is other for other in banded) else [band.middle]
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]
    if values.size and np.ptp(values) > 0:
        pad = 0.06 * np.ptp(values)
        # R² may lie below 0.
        lowest = 0.0 if values.min() >= 0 else -math.inf
        ax.set_ylim(max(lowest, values.min() - pad), min(100.0, values.max()) + pad)


def _logarithmic(ax: Axes, curves: Sequence[Curve], banded: Sequence[Curve]) -> None:
    """A logarithmic axis, just as low as what is drawn: no band is filled down to its floor."""
    drawn = []
    for curve in curves:
        band = seed_band(curve.values, positive=True)
        drawn += [band.middle, band.low] if any(curve is c for c in banded) else [band.middle]
    values = np.concatenate(drawn)
    values = values[np.isfinite(values)]
    if values.size:
        ax.set_yscale("log", nonpositive="mask")
        ax.set_ylim(bottom=float(values.min()) * 0.5)
        few_log_ticks(ax.yaxis)
