"""What ``--measure`` measured along training: a panel an encoder, and the loss beside them."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from masam_jax.analysis.learning_curves import banded_methods, method_styles
from masam_jax.analysis.records import Curve, Directory, MethodRecord
from masam_jax.analysis.seed_bands import band_words, seed_band
from masam_jax.analysis.style import (
    WIDTH,
    Plot,
    draw_seeds,
    few_log_ticks,
    legend_above,
    panel_title,
    plot_name,
    step_axis,
    style_axes,
)

_COLUMNS = 3
# What stands for the split in the records.
_SPLIT = "geometry"
# Name, heading, what is on the axis, and what the caption says of it.
_QUANTITIES = {
    "trace": (
        "Hessian trace",
        "Hutchinson's estimate of the trace of the encoder's block of the Hessian. It also falls "
        "where the loss saturates or the parameters grow.",
    ),
    "relative_flatness": (
        "Relative flatness",
        "The trace times the squared norm of the encoder's parameters, which scaling these as a "
        "whole does not change; the lower, the flatter.",
    ),
    "sharpness": (
        "Sharpness",
        "How much the loss grows with SAM's step along the encoder's own gradient, of 5 % of the "
        "norm of its parameters.",
    ),
    "norm": ("Norms of the encoders", "The Euclidean norm of the encoder's parameters."),
}


def flatness_curves(directory: Directory) -> list[Plot]:
    """A plot of every quantity that was measured, and of the norms; none where nothing was."""
    plots = [_plot(directory, quantity) for quantity in _QUANTITIES]
    return [plot for plot in plots if plot is not None]


def _plot(directory: Directory, quantity: str) -> Plot | None:
    modalities = sorted(
        {m for method in directory.methods for m in method.traced_modalities(quantity, _SPLIT)}
    )
    panels = {f"{m} encoder": _curves(directory, quantity, m) for m in modalities}
    if not panels:
        return None
    panels["loss, measured samples"] = _curves(directory, "loss", None)
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDTH, 2.1 * rows + 0.5), layout="constrained")
    grid = list(figure.subplots(rows, columns, sharex=True, squeeze=False).flat)
    styles = method_styles(directory)
    banded = {id(m) for m in banded_methods(directory, directory.methods)}
    for position, (ax, (name, curves)) in enumerate(zip(grid, panels.items(), strict=False)):
        style_axes(ax)
        for method, curve in curves:
            line = styles[id(method)]
            band = id(method) in banded
            draw_seeds(ax, curve.steps, curve.values, line, width=1.3, band=band, positive=True)
        _logarithmic(ax, [curve for _, curve in curves])
        panel_title(ax, name, width=26)
        step_axis(ax)
        ax.tick_params(labelbottom=position + columns >= len(panels))
    for unused in grid[len(panels) :]:
        unused.remove()
    if len(directory.methods) > 1:
        legend_above(figure, {m.title: styles[id(m)] for m in directory.methods})
    figure.supxlabel("training step", fontsize=9)
    heading, words = _QUANTITIES[quantity]
    seeds = max((c.values.shape[1] for curves in panels.values() for _, c in curves), default=1)
    bands = band_words(seeds, positive=True)
    caption = f"{words} Of the fusion loss on training samples, on logarithmic axes. {bands}"
    return Plot(plot_name("geometry", quantity), f"{heading} over training", caption, figure)


def _curves(
    directory: Directory, quantity: str, modality: str | None
) -> list[tuple[MethodRecord, Curve]]:
    found = [(m, m.curve(_SPLIT, quantity, modality)) for m in directory.methods]
    return [(method, curve) for method, curve in found if curve is not None]


def _logarithmic(ax: Axes, curves: list[Curve]) -> None:
    """A logarithmic axis, where anything is above 0."""
    middles = [seed_band(curve.values, positive=True).middle for curve in curves]
    if any(np.isfinite(middle).any() for middle in middles):
        ax.set_yscale("log", nonpositive="mask")
        few_log_ticks(ax.yaxis)
