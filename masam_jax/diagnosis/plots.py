"""The plots of a diagnosis, each an answer to one question; rows are modalities or networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from masam_jax.analysis.formatting import number
from masam_jax.analysis.palette import BASELINE, COLOURS, HIGHLIGHT, INK, MUTED
from masam_jax.analysis.style import WIDTH, Plot, panel_title, style_axes, take_literally, wrapped
from masam_jax.diagnosis.conclusions import DROWNED_MARGIN, Diagnosis
from masam_jax.diagnosis.observations import Observations

_DROWNED = COLOURS[1]
# Inches of a row, and of everything above and below the rows.
_ROW, _REST = 0.27, 0.75
_NAME_WIDTH = 30
# Rows between two dots of one row.
_APART = 0.14


def fusion_plot(found: Diagnosis, observed: Observations) -> Plot:
    """Accuracy of each modality alone, of their average, and of the joint networks."""
    rows = {
        m: observed.alone[m] for m in sorted(observed.alone, key=lambda m: observed.alone[m].mean())
    }
    rows = {f"{m} alone": each for m, each in rows.items()} | {
        "average of all, trained alone": observed.mean_of_alone,
        "joint, by the fusion loss": observed.joint,
        "joint, with unimodal losses": observed.supervised,
    }
    figure, (ax,) = _panels(list(rows), 1)
    for row, values in enumerate(rows.values()):
        colour = BASELINE if row < len(observed.alone) else HIGHLIGHT
        _dots(ax, row, 100 * values, colour)
    ax.axvline(100 * found.chance, color=MUTED, lw=1, ls=":")
    ax.set_xlabel(f"{observed.split} accuracy, %", fontsize=9)
    caption = (
        "Large dots: means over seeds; small dots: the seeds. Grey: one modality, trained alone;"
        f" blue: all of them. Dotted: guessing, {number(100 * found.chance, 1)} %."
    )
    return Plot("fusion", "Accuracy alone and together", caption, figure)


def drowned_plot(found: Diagnosis) -> Plot:
    """The difference of the probes of each encoder, with its interval."""
    names = sorted(found.modalities, key=lambda m: found.modalities[m].difference)
    figure, (ax,) = _panels(names, 1)
    for row, m in enumerate(names):
        each = found.modalities[m]
        colour = _DROWNED if each.is_drowned else HIGHLIGHT if each.is_informative else BASELINE
        if each.interval is not None:
            low, high = each.interval
            ax.plot([100 * low, 100 * high], [row, row], color=colour, lw=2)
        ax.plot([100 * each.difference], [row], "o", color=colour, markersize=6)
    ax.axvline(0, color=MUTED, lw=1)
    ax.axvline(-100 * DROWNED_MARGIN, color=MUTED, lw=1, ls=":")
    ax.margins(x=0.08)
    ax.set_xlabel("probe after joint training − after training alone, points", fontsize=9)
    caption = (
        "Accuracy of a linear probe on each encoder, trained jointly by the fusion loss, less that"
        " of one on the encoder trained alone, in percentage points; bars: 95 % intervals."
        f" Drowned (orange): a dot left of the dotted line, at −{number(100 * DROWNED_MARGIN, 0)}"
        " points, whose bar ends below 0. Grey: a modality that says nothing alone."
    )
    return Plot("drowned", "What joint training costs each encoder", caption, figure)


def shares_plot(found: Diagnosis) -> Plot:
    """Who has the answers, the logits and the gradients, and who would be chosen."""
    modalities = found.modalities
    panels = {
        "of right answers": {m: each.answer_share for m, each in modalities.items()},
        "of the logits": {m: each.logit_share for m, each in modalities.items()},
        "of the first gradient": {m: each.first_gradient_share for m, each in modalities.items()},
        "of the last gradient": {m: each.last_gradient_share for m, each in modalities.items()},
    }
    names = sorted(modalities, key=lambda m: -modalities[m].logit_share)
    figure, axes = _panels(names, len(panels))
    for ax, (title, shares) in zip(axes, panels.items(), strict=True):
        values = [100 * shares[m] for m in names]
        colours = [HIGHLIGHT if m == found.dominant else BASELINE for m in names]
        ax.barh(range(len(names)), np.nan_to_num(values), height=0.62, color=colours)
        ax.axvline(100 / len(names), color=INK, lw=1, ls=":")
        panel_title(ax, title, width=22)
        ax.set_xlim(left=min(0.0, *np.nan_to_num(values)))
    figure.supxlabel("share, %", fontsize=9)
    caption = (
        "Of the network trained by the fusion loss: what it gets right beyond guessing and its"
        " logits, by Shapley values over the samples; norms of the encoders' gradients on training"
        " samples, before the first step and after the last. Dotted: an equal share."
    )
    if found.dominant is not None:
        caption += f" Blue: {found.dominant}, which dominates."
    return Plot("shares", "Shares of the modalities", caption, figure)


def overfitting_plot(found: Diagnosis) -> Plot:
    """Training less reported accuracy, alone and jointly."""
    names = list(found.modalities)
    figure, (ax,) = _panels([*names, "joint prediction"], 1)
    for row, m in enumerate(names):
        each = found.modalities[m]
        ends = [100 * each.gap_alone, 100 * each.gap_supervised]
        ax.plot(ends[:1], [row - _APART], "o", color=BASELINE, markersize=6)
        ax.plot(ends[1:], [row + _APART], "o", color=HIGHLIGHT, markersize=6)
    ax.plot([100 * found.fusion.gap], [len(names)], "o", color=HIGHLIGHT, markersize=6)
    ax.axvline(0, color=MUTED, lw=1)
    ax.margins(x=0.08)
    ax.set_xlabel(f"training − {found.split} accuracy, points", fontsize=9)
    caption = (
        "Means over seeds. Grey: each modality's head, trained alone; blue: the same head trained"
        " jointly with unimodal losses, and at the bottom the joint prediction by the fusion loss."
    )
    return Plot("overfitting", f"Training less {found.split} accuracy", caption, figure)


def _panels(names: Sequence[str], count: int) -> tuple[Figure, list[Axes]]:
    """Panels beside each other, with a named row for each, from the top down."""
    height = _REST + _ROW * len(names)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = list(figure.subplots(1, count, sharey=True, squeeze=False).flat)
    for ax in axes:
        style_axes(ax, grid="x")
    axes[0].set_yticks(range(len(names)), [wrapped(n, _NAME_WIDTH) for n in names], fontsize=9)
    take_literally(axes[0].get_yticklabels())
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    return figure, axes


def _dots(ax: Axes, row: int, values: np.ndarray, colour: str) -> None:
    if values.size > 1:
        ax.plot(values, np.full(values.size, row), "o", color=colour, markersize=2.5, alpha=0.5)
    if values.size:
        ax.plot([values.mean()], [row], "o", color=colour, markersize=7)
