"""Which modality was dominant how often, for every method that chooses one, in one figure."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from masam_jax.analysis.palette import GRID, INK, PAPER, text_on
from masam_jax.analysis.records import MethodRecord
from masam_jax.analysis.style import (
    WIDTH,
    LineStyle,
    Plot,
    legend_above,
    style_axes,
    take_literally,
    wrapped,
)
from masam_jax.core.specs import cut_specification

# Percent of a bar that a word needs, and that a number needs.
_WORDS, _NUMBER = 45, 6


def dominant_shares(methods: Sequence[MethodRecord], styles: dict[str, LineStyle]) -> Plot:
    """The shares of the last logged step.

    Args:
      methods: those that logged shares, at least one.
      styles: of every modality.
    """
    figure = Figure(figsize=(WIDTH, 0.95 + 0.42 * len(methods)), layout="constrained")
    ax = figure.subplots()
    style_axes(ax, grid="none")
    without = [_bar(ax, row, method, styles) for row, method in enumerate(methods)]
    ax.set_yticks(range(len(methods)), [wrapped(m.title, 26) for m in methods], fontsize=9)
    take_literally(ax.get_yticklabels())
    ax.set_ylim(len(methods) - 0.45, -0.55)
    ax.set_xlim(0, 100)
    ax.set_xlabel("share of training steps, %", fontsize=9)
    legend_above(figure, styles)
    caption = (
        "How often each modality was dominant (had the highest score, of M-SAM the highest Shapley "
        "value, or was drawn or fixed where the method says so), in percent of all training steps, "
        "mean over seeds."
    )
    if any(map(perturbs_all, methods)):
        caption += (
            " A grey bar across: the method has select=all, which perturbs every encoder in every "
            "step and so chooses none."
        )
    partly = zip(methods, without, strict=True)
    if any(share >= 0.05 and not perturbs_all(method) for method, share in partly):
        caption += " Grey within a bar: steps in which no modality was chosen (no usable gradient)."
    return Plot("dominant-share", "Dominant modality", caption, figure)


def perturbs_all(method: MethodRecord) -> bool:
    """Whether a MASAM method perturbs every encoder, and so has no dominant one."""
    options = cut_specification(str(method.result["spec"]))[1] or ""
    return "select=all" in [item.replace(" ", "") for item in options.split(",")]


def _bar(ax: Axes, row: int, method: MethodRecord, styles: dict[str, LineStyle]) -> float:
    """Draws one method's bar; returns the percentage of steps without a dominant modality."""
    left = 0.0
    for index, (modality, style) in enumerate(styles.items()):
        curve = method.curve("train", "dominant_share", modality)
        if curve is None:
            continue
        last = np.ma.masked_invalid(curve.values[-1]) * 100
        share = float(last.mean()) if last.count() else 0.0
        _segment(ax, row, left, share, style, hatched=index >= 6)
        left += share
    rest = max(0.0, 100 - left)
    # Steps without a dominant modality (all absent, no usable gradient) stay visible.
    ax.barh(row, rest, left=left, height=0.62, color=GRID)
    if rest >= _WORDS:
        words = "all encoders, every step" if perturbs_all(method) else "no modality chosen"
        ax.text(left + rest / 2, row, words, ha="center", va="center", color=INK, size=8.5)
    return rest


def _segment(
    ax: Axes, row: int, left: float, share: float, style: LineStyle, *, hatched: bool
) -> None:
    ax.barh(
        row,
        share,
        left=left,
        height=0.62,
        color=style.colour,
        edgecolor=PAPER,
        linewidth=0.8,
        hatch="//" if hatched else None,
    )
    if share >= _NUMBER:
        colour = text_on(style.colour)
        place: dict[str, Any] = {"ha": "center", "va": "center"}
        ax.text(left + share / 2, row, f"{share:.0f}", color=colour, size=9, **place)
