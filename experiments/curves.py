"""Scores over a condition that gets harder: curves with bands, and the area under them."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from masam_jax.analysis.seed_bands import band_words
from masam_jax.analysis.style import (
    WIDTH,
    Plot,
    draw_seeds,
    legend_above,
    line_styles,
    panel_title,
    style_axes,
)

Curves = Mapping[str, np.ndarray]
"""A line's name -> its scores, float64 ``[T, S]``, fractions; NaN where a seed diverged."""


def area(positions: Sequence[float], values: np.ndarray) -> list[float]:
    """The mean height of each seed's curve: the area under it over its length, ``[S]``.

    Args:
      positions: ``[T]``, increasing, at least 2.
      values: ``[T, S]``.
    """
    return list(np.trapezoid(values, positions, axis=0) / (positions[-1] - positions[0]))


def curves_plot(
    name: str,
    title: str,
    panels: Mapping[str, Curves],
    positions: Sequence[float],
    *,
    axis: str,
    ticks: Mapping[float, str] | None = None,
    caption: str = "",
) -> Plot:
    """A panel for each data set, a line with a band for each method.

    Args:
      name: file name without suffix.
      title: a heading.
      panels: heading -> the lines; all panels have the same.
      positions: of the conditions, ``[T]``.
      axis: what they are.
      ticks: position -> what is written there; the numbers themselves when None.
      caption: what is shown, before the words on lines and bands.
    """
    styles = line_styles(list(next(iter(panels.values()))))
    figure = Figure(figsize=(WIDTH, 0.6 + 2.5 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
    seeds = 1
    for ax, (heading, lines) in zip(axes, panels.items(), strict=True):
        style_axes(ax)
        panel_title(ax, heading)
        for line, values in lines.items():
            draw_seeds(ax, np.asarray(positions, np.float64), 100 * values, styles[line])
            seeds = values.shape[1]
        if ticks is not None:
            ax.set_xticks(list(ticks), list(ticks.values()))
        ax.set_ylabel("score, %", fontsize=9)
    axes[-1].set_xlabel(axis, fontsize=9)
    legend_above(figure, styles)
    return Plot(name, title, f"{caption} {band_words(seeds)}".strip(), figure)
