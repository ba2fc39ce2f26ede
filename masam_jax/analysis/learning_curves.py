"""How the methods get there: loss and score over training, a panel per method."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from masam_jax.analysis.primary_metric import unimodal_key
from masam_jax.analysis.records import Curve, Directory
from masam_jax.analysis.style import (
    BASELINE,
    HIGHLIGHT,
    INK,
    LineStyle,
    Plot,
    legend_above,
    mean_band,
    modality_styles,
    panel_title,
    panels,
    plot_name,
    step_axis,
)
from masam_jax.training.classification_metrics import phrase, title

_METHOD, _REFERENCE = LineStyle(HIGHLIGHT, "-"), LineStyle(BASELINE, "-")
_FUSED = LineStyle(INK, "-")


def learning_curves(directory: Directory) -> list[Plot]:
    """Validation score, training loss, and unimodal scores, each if it was logged."""
    candidates = [
        _validation_scores(directory),
        _training_loss(directory),
        _unimodal_scores(directory),
    ]
    return [plot for plot in candidates if plot is not None]


def _validation_scores(directory: Directory) -> Plot | None:
    metric = directory.metric
    curves = _curves(directory, "validation", metric, scale=100)
    if not curves:
        return None
    figure, first = _method_panels(directory, curves, f"validation {phrase(metric)}, %")
    _focus_on_the_end(first, list(curves.values()))
    caption = (
        f"{title(metric)} on the validation split, in percent; the axis leaves out the steep start."
        f" {_band_text(list(curves.values()))}"
    )
    heading = f"Validation {phrase(metric)} over training"
    return Plot(plot_name("validation", metric), heading, caption, figure)


def _training_loss(directory: Directory) -> Plot | None:
    curves = _curves(directory, "train", "fusion_loss")
    if not curves:
        return None
    figure, first = _method_panels(directory, curves, "fusion loss, nats")
    _logarithmic(first, list(curves.values()))
    caption = (
        "Fusion cross-entropy of the training batches, in nats, on a logarithmic axis."
        f" {_band_text(list(curves.values()))}"
    )
    return Plot("training-loss", "Fusion loss over training", caption, figure)


def _curves(directory: Directory, split: str, key: str, *, scale: float = 1.0) -> dict[str, Curve]:
    """The curve of every method that logged it, by title."""
    curves = {m.title: _scaled(m.curve(split, key), scale) for m in directory.methods}
    return {name: curve for name, curve in curves.items() if curve is not None}


def _method_panels(
    directory: Directory, curves: dict[str, Curve], quantity: str
) -> tuple[Figure, Axes]:
    """One panel per method, the baseline repeated in grey in each; also the first of the axes."""
    baseline = directory.baseline.title
    reference = curves.get(baseline) if len(curves) > 1 else None
    shown = [name for name in curves if reference is None or name != baseline]
    figure, axes = panels(len(shown))
    for ax, name in zip(axes, shown, strict=True):
        if reference is not None:
            mean_band(ax, reference.steps, reference.values, _REFERENCE, width=1.2)
        mean_band(ax, curves[name].steps, curves[name].values, _METHOD)
        panel_title(ax, name)
        step_axis(ax)
    if reference is not None:
        legend_above(figure, {"the panel's method": _METHOD, f"baseline: {baseline}": _REFERENCE})
    figure.supxlabel("training step", fontsize=9)
    figure.supylabel(quantity, fontsize=9)
    return figure, axes[0]


def _unimodal_scores(directory: Directory) -> Plot | None:
    """One panel per method: each modality's head, and the fused prediction in black."""
    metric = directory.metric
    key = unimodal_key(metric)
    shown = [m for m in directory.methods if m.traced_modalities(key, "validation")]
    if not shown:
        return None
    modalities = sorted({n for m in shown for n in m.traced_modalities(key, "validation")})
    styles = modality_styles(modalities)
    figure, axes = panels(len(shown))
    curves = []
    for ax, method in zip(axes, shown, strict=True):
        for modality, style in styles.items():
            curve = _scaled(method.curve("validation", key, modality), 100)
            if curve is not None:
                curves.append(curve)
                mean_band(ax, curve.steps, curve.values, style, width=1.3)
        fused = _scaled(method.curve("validation", metric), 100)
        if fused is not None:
            mean_band(ax, fused.steps, fused.values, _FUSED)
        panel_title(ax, method.title)
        step_axis(ax)
    legend_above(figure, {"fused": _FUSED} | styles)
    figure.supxlabel("training step", fontsize=9)
    figure.supylabel(f"validation {phrase(metric)}, %", fontsize=9)
    caption = (
        f"{title(metric)} of each modality's own head on the validation split, in percent, and of "
        "the fused prediction (black). A head whose loss has weight 0 is not trained and stays "
        f"near chance. {_band_text(curves)}"
    )
    heading = f"{title(metric)} of the unimodal heads over training"
    return Plot(plot_name("unimodal", metric), heading, caption, figure)


def _scaled(curve: Curve | None, scale: float) -> Curve | None:
    return None if curve is None else Curve(curve.steps, curve.values * scale)


def _band_text(curves: Sequence[Curve]) -> str:
    seeds = max(curve.values.shape[1] for curve in curves)
    return f"Mean ± one standard deviation over {seeds} seeds." if seeds > 1 else "One seed."


def _focus_on_the_end(ax: Axes, curves: Sequence[Curve]) -> None:
    """Starts the axis of scores where the methods are after a quarter of training.

    The rise from chance takes a few steps and most of the axis; differences of a point, which
    the plot is for, would be invisible under it.
    """
    lowest, highest = [], []
    for curve in curves:
        late = curve.values[curve.steps >= curve.steps[-1] / 4]
        finite = np.ma.masked_invalid(late)
        if finite.count():
            spread = finite.std(axis=1).max()
            lowest.append(finite.mean(axis=1).min() - spread)
            highest.append(finite.max())
    if lowest and max(highest) > min(lowest):
        pad = 0.06 * (max(highest) - min(lowest))
        ax.set_ylim(max(0.0, min(lowest) - pad), min(100.0, max(highest)) + pad)


def _logarithmic(ax: Axes, curves: Sequence[Curve]) -> None:
    """A logarithmic axis over the positive means; zeros, and bands that dip below it, leave it."""
    means = np.ma.concatenate([np.ma.masked_invalid(c.values).mean(axis=1) for c in curves])
    positive = means.compressed()[means.compressed() > 0]
    if positive.size:
        ax.set_yscale("log", nonpositive="clip")
        ax.set_ylim(bottom=float(positive.min()) * 0.6)
