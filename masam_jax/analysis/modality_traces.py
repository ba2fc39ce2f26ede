"""Quantities of every modality over training, one panel each, seeds as bands."""

from collections.abc import Iterable, Mapping

import numpy as np
from matplotlib.figure import Figure

from masam_jax.analysis.palette import MUTED
from masam_jax.analysis.records import MethodRecord
from masam_jax.analysis.style import (
    WIDTH,
    LineStyle,
    draw_seeds,
    few_log_ticks,
    legend_above,
    panel_title,
    step_axis,
    style_axes,
)

SIGNED = ("score", "alignment", "shapley_value")
NORMS = {
    "fusion_gradient_norm": "norm of the fusion gradient",
    "unimodal_gradient_norm": "norm of the unimodal gradient",
}
LOGARITHMIC = (*NORMS, "rescale_factor")


def draw_traces(
    method: MethodRecord, panels: Mapping[str, str], styles: Mapping[str, LineStyle]
) -> tuple[Figure, int]:
    """The figure, and the number of seeds that it shows.

    Args:
      method: which logged all of these quantities.
      panels: quantity -> its words, in the order of the panels; at least one. `LOGARITHMIC` ones
        have such an axis and medians for lines; shares are in percent.
      styles: of every modality, and of what else has values.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDTH, 2.1 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    seeds = 1
    drawn: set[str] = set()
    for position, (ax, (key, words)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
        style_axes(ax)
        scale = 100.0 if key == "dominant_share" else 1.0
        for modality, style in styles.items():
            curve = method.curve("train", key, modality)
            if curve is not None:
                seeds, drawn = max(seeds, curve.values.shape[1]), drawn | {modality}
                values, positive = curve.values * scale, key in LOGARITHMIC
                draw_seeds(ax, curve.steps, values, style, width=1.3, positive=positive)
        if key in LOGARITHMIC:
            ax.set_yscale("log")
            few_log_ticks(ax.yaxis)
        elif key in SIGNED:
            ax.axhline(0, color=MUTED, lw=0.6, zorder=0.5)
        else:
            # None of the others can be below 0, and nor does the axis suggest so.
            ax.set_ylim(bottom=0)
        panel_title(ax, words)
        step_axis(ax)
        ax.tick_params(labelbottom=position + columns >= len(panels))
    for unused in list(grid.flat)[len(panels) :]:
        unused.remove()
    legend_above(figure, {name: style for name, style in styles.items() if name in drawn})
    figure.supxlabel("training step", fontsize=9)
    return figure, seeds


def has_values(method: MethodRecord, key: str) -> bool:
    """Whether a quantity was logged, and what is drawn of it is more than 0 of some modality."""
    modalities = method.traced_modalities(key)
    if key != "dominant_share" and key not in LOGARITHMIC:
        return bool(modalities)
    curves = [method.curve("train", key, modality) for modality in modalities]
    return any(c is not None and np.nan_to_num(c.values).any() for c in curves)


def logarithmic_words(panels: Iterable[str], seeds: int) -> str:
    """What a caption says of logarithmic axes, where the panels have such."""
    shown = seeds > 1 and any(key in LOGARITHMIC for key in panels)
    return " On logarithmic axes lines are medians." if shown else ""
