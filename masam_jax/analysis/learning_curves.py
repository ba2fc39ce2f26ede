"""How the methods get there: loss and accuracy over training, a panel per method."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from masam_jax.analysis.records import Curve, Directory, MethodRecord
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
    step_axis,
)

_METHOD, _REFERENCE = LineStyle(HIGHLIGHT, "-"), LineStyle(BASELINE, "-")
_FUSED = LineStyle(INK, "-")


def learning_curves(directory: Directory) -> list[Plot]:
    """Validation accuracy, training loss, and unimodal accuracy, each if it was logged."""
    candidates = [
        _metric_panels(directory, "validation", "accuracy"),
        _metric_panels(directory, "train", "fusion_loss"),
        _unimodal_panels(directory),
    ]
    return [plot for plot in candidates if plot is not None]


def _metric_panels(directory: Directory, split: str, key: str) -> Plot | None:
    """One panel per method; the baseline is repeated in grey in each."""
    is_accuracy = key == "accuracy"
    curves = {m.title: _scaled(m, split, key, is_accuracy) for m in directory.methods}
    drawn = {title: curve for title, curve in curves.items() if curve is not None}
    if not drawn:
        return None
    baseline = directory.baseline.title
    reference = drawn.get(baseline) if len(drawn) > 1 else None
    shown = [title for title in drawn if reference is None or title != baseline]
    figure, axes = panels(len(shown))
    for ax, title in zip(axes, shown, strict=True):
        if reference is not None:
            mean_band(ax, reference.steps, reference.values, _REFERENCE, width=1.2)
        mean_band(ax, drawn[title].steps, drawn[title].values, _METHOD)
        panel_title(ax, title)
        step_axis(ax)
    if reference is not None:
        legend_above(figure, {"the panel's method": _METHOD, f"baseline: {baseline}": _REFERENCE})
    if is_accuracy:
        _focus_on_the_end(axes[0], list(drawn.values()))
    else:
        _logarithmic(axes[0], list(drawn.values()))
    unit = "validation accuracy, %" if is_accuracy else "fusion loss, nats"
    figure.supxlabel("training step", fontsize=9)
    figure.supylabel(unit, fontsize=9)
    name = "validation-accuracy" if is_accuracy else "training-loss"
    heading = "Validation accuracy over training" if is_accuracy else "Fusion loss over training"
    what = (
        "Accuracy on the validation split, in percent; the axis leaves out the steep start."
        if is_accuracy
        else "Fusion cross-entropy of the training batches, in nats, on a logarithmic axis."
    )
    return Plot(name, heading, f"{what} {_band_text(list(drawn.values()))}", figure)


def _unimodal_panels(directory: Directory) -> Plot | None:
    """One panel per method: each modality's head, and the fused prediction in black."""
    key = "unimodal_accuracy"
    shown = [m for m in directory.methods if m.traced_modalities(key, "validation")]
    if not shown:
        return None
    modalities = sorted({n for m in shown for n in m.traced_modalities(key, "validation")})
    styles = modality_styles(modalities)
    figure, axes = panels(len(shown))
    curves = []
    for ax, method in zip(axes, shown, strict=True):
        for modality, style in styles.items():
            curve = _scaled(method, "validation", key, True, modality)
            if curve is not None:
                curves.append(curve)
                mean_band(ax, curve.steps, curve.values, style, width=1.3)
        fused = _scaled(method, "validation", "accuracy", True)
        if fused is not None:
            mean_band(ax, fused.steps, fused.values, _FUSED)
        panel_title(ax, method.title)
        step_axis(ax)
    legend_above(figure, {"fused": _FUSED} | styles)
    figure.supxlabel("training step", fontsize=9)
    figure.supylabel("validation accuracy, %", fontsize=9)
    caption = (
        "Accuracy of each modality's own head on the validation split, in percent, and of the "
        "fused prediction (black). A head whose loss has weight 0 is not trained and stays near "
        f"chance. {_band_text(curves)}"
    )
    return Plot(
        "unimodal-accuracy", "Accuracy of the unimodal heads over training", caption, figure
    )


def _scaled(
    method: MethodRecord, split: str, key: str, percent: bool, modality: str | None = None
) -> Curve | None:
    curve = method.curve(split, key, modality)
    if curve is None or not percent:
        return curve
    return Curve(curve.steps, curve.values * 100)


def _band_text(curves: Sequence[Curve]) -> str:
    seeds = max(curve.values.shape[1] for curve in curves)
    return f"Mean ± one standard deviation over {seeds} seeds." if seeds > 1 else "One seed."


def _focus_on_the_end(ax: Axes, curves: Sequence[Curve]) -> None:
    """Starts the accuracy axis where the methods are after a quarter of training.

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
