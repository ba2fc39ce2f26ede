"""Where it comes from: who learns first, and what the joint network does from then on."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from masam_jax.analysis.direct_labels import draw_labels, end_label, labels_height
from masam_jax.analysis.palette import INK
from masam_jax.analysis.records import Curve, Directory
from masam_jax.analysis.seed_bands import band_words, seed_band
from masam_jax.analysis.style import (
    WIDTH,
    LineStyle,
    Plot,
    few_log_ticks,
    line_styles,
    step_axis,
    style_axes,
)
from masam_jax.diagnosis.observations import ALONE, JOINT

_TOGETHER = "joint"
# A curve has arrived where it is so close to its last value.
_CLOSE = 0.01
# Of so many modalities the arrival of each is told.
_MOST_TOLD = 6

Curves = dict[str, Curve]


def course_plots(record: Directory) -> list[Plot]:
    """Validation accuracy and training loss of each modality alone, and of the joint network.

    Args:
      record: the comparison.
    """
    methods = {method.result["spec"]: method for method in record.methods}
    alone, joint = methods[ALONE], methods[JOINT]
    names = record.results["modalities"]

    def curves(split: str, of_one: str, of_all: str) -> Curves:
        found = {_TOGETHER: joint.curve(split, of_all)}
        found |= {m: alone.curve(split, of_one, m) for m in names}
        return {name: curve for name, curve in found.items() if curve is not None}

    accuracies = curves("validation", "unimodal_accuracy", "accuracy")
    losses = curves("train", "unimodal_loss", "fusion_loss")
    plots = []
    if len(accuracies) > 1:
        caption = (
            "Each modality trained alone, in colours, and the joint network by the fusion loss,"
            f" dark. {arrivals(accuracies)}"
        )
        plots.append(
            _plot(
                "course-accuracy", "Who learns first", caption, accuracies, "validation accuracy, %"
            )
        )
    if len(losses) > 1:
        caption = (
            "Cross-entropy of the training batches, in nats. Once the joint loss is next to"
            " nothing, no encoder gets a gradient to learn more from."
        )
        plots.append(
            _plot(
                "course-loss", "What is left to learn from", caption, losses, "training loss, nats"
            )
        )
    return plots


def arrivals(curves: Curves) -> str:
    """A sentence: the steps after which each accuracy is as high as at the end, but for a point.

    Examples:
      >>> steps, values = np.array([10, 20, 30]), np.array([[0.3], [0.795], [0.8]])
      >>> arrivals({"fast": Curve(steps, values), "slow": Curve(steps, values**2)})
      'Within a point of the last value: fast after 20 steps, slow after 20 steps.'
    """
    steps = {name: _arrival(curve) for name, curve in curves.items()}
    order = sorted((step, name) for name, step in steps.items() if step is not None)
    if not order:
        return ""
    told = order if len(order) <= _MOST_TOLD else [order[0], order[-1]]
    words = ", ".join(f"{name} after {step} steps" for step, name in told)
    return f"Within a point of the last value: {words}."


def _arrival(curve: Curve) -> int | None:
    values = seed_band(curve.values).middle
    if not np.isfinite(values).all():
        return None
    return int(curve.steps[np.argmax(values >= values[-1] - _CLOSE)])


def _plot(name: str, title: str, caption: str, curves: Curves, quantity: str) -> Plot:
    is_loss = "loss" in quantity
    styles = {_TOGETHER: LineStyle(INK, "-")} | line_styles([n for n in curves if n != _TOGETHER])
    labels, seeds = [], 1
    figure = Figure(figsize=(WIDTH, 1.0), layout="constrained")
    ax, margin = figure.subplots(1, 2, gridspec_kw={"width_ratios": (1, 0.3)})
    style_axes(ax)
    step_axis(ax)
    for which, curve in curves.items():
        band = seed_band(curve.values if is_loss else 100 * curve.values, positive=is_loss)
        seeds = max(seeds, curve.values.shape[1])
        width = 2.4 if which == _TOGETHER else 1.5
        ax.plot(
            curve.steps, band.middle, color=styles[which].colour, ls=styles[which].dashes, lw=width
        )
        ax.fill_between(
            curve.steps, band.low, band.high, color=styles[which].colour, alpha=0.12, lw=0
        )
        labels.append(end_label(which, band.middle, styles[which]))
    if is_loss:
        ax.set_yscale("log")
        few_log_ticks(ax.yaxis)
    ax.set_xlabel("training step", fontsize=9)
    ax.set_ylabel(quantity, fontsize=9)
    height = max(2.7, labels_height(labels) + 0.1)
    figure.set_size_inches(WIDTH, height + 0.55)
    draw_labels(margin, ax, labels, height)
    return Plot(name, title, f"{caption} {band_words(seeds, positive=is_loss)}", figure)
