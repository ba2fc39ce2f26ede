"""Loss surfaces drawn: contours, and hills; a panel for all parameters and one for each encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure

from masam_jax.analysis.palette import COLOURS, HIGHLIGHT, INK, MUTED
from masam_jax.analysis.style import WIDTH, Plot, panel_title, plot_name, style_axes
from masam_jax.geometry.surface import LossSurface

_COLUMNS = 3
_LEVELS = 9
_SHADES = LinearSegmentedColormap.from_list("shades", ["#f2f7fb", HIGHLIGHT])
_FIXED = " What is not named stays where it is."


def surface_plots(
    surfaces: Mapping[str, LossSurface],
    name: str,
    title: str,
    *,
    trajectory: np.ndarray | None = None,
) -> list[Plot]:
    """Lines of surfaces of one axis; of two, contours and a three-dimensional view.

    Args:
      surfaces: by what their panel is called, of one number of axes.
      name: the beginning of the plots' file names.
      title: of whose network.
      trajectory: ``[T, 2]``, drawn into every panel of contours.
    """
    planes = [len(surface.axes) == 2 for surface in surfaces.values()]
    if not all(planes):
        return [_lines(surfaces, name, title)]
    return [
        _contours(surfaces, name, title, trajectory),
        _hills(surfaces, name, title),
    ]


def _lines(surfaces: Mapping[str, LossSurface], name: str, title: str) -> Plot:
    figure, panels = _panels(len(surfaces), 2.0)
    for ax, (part, surface) in zip(panels, surfaces.items(), strict=True):
        style_axes(ax)
        ax.plot(surface.axes[0], surface.losses, color=COLOURS[0], lw=1.6)
        ax.plot([0], [surface.centre], color=INK, marker="o", markersize=3)
        panel_title(ax, part, width=26)
    figure.supxlabel("multiple of a filter-normalised direction", fontsize=9)
    caption = f"The loss on a line through the parameters (the dot) of {title}.{_FIXED}"
    return Plot(plot_name(name, "lines"), f"Loss on a line: {title}", caption, figure)


def _contours(
    surfaces: Mapping[str, LossSurface], name: str, title: str, trajectory: np.ndarray | None
) -> Plot:
    figure, panels = _panels(len(surfaces), 2.15)
    levels, norm = _levels(surfaces)
    for ax, (part, surface) in zip(panels, surfaces.items(), strict=True):
        style_axes(ax, grid="none")
        across, up = surface.axes
        losses = np.ma.masked_invalid(surface.losses.T)
        ax.contourf(across, up, losses, levels, cmap=_SHADES, norm=norm, extend="both")
        lines = ax.contour(across, up, losses, levels, colors=[MUTED], linewidths=0.6)
        ax.clabel(lines, fontsize=6, fmt="%.2g")
        if trajectory is not None:
            ax.plot(*trajectory.T, color=COLOURS[1], lw=1.2, marker=".", markersize=3)
        ax.plot([0], [0], color=INK, marker="o", markersize=3)
        ax.set_aspect("equal" if trajectory is None else "auto")
        panel_title(ax, part, width=26)
    caption = (
        f"The loss on a plane through the parameters (the dot) of {title}; lines of equal loss, "
        f"the same in all panels.{_FIXED}"
    )
    return Plot(plot_name(name, "contours"), f"Loss surface: {title}", caption, figure)


def _hills(surfaces: Mapping[str, LossSurface], name: str, title: str) -> Plot:
    columns = min(_COLUMNS, len(surfaces))
    rows = -(-len(surfaces) // columns)
    figure = Figure(figsize=(WIDTH, 2.4 * rows), layout="constrained")
    levels, norm = _levels(surfaces)
    low, high = float(levels[0]), float(levels[-1])
    is_logarithmic = isinstance(norm, LogNorm)
    for place, (part, surface) in enumerate(surfaces.items(), start=1):
        ax: Any = figure.add_subplot(rows, columns, place, projection="3d")
        across, up = np.meshgrid(*surface.axes, indexing="ij")
        heights = np.where(np.isfinite(surface.losses), surface.losses, np.nan)
        shown = np.log10(np.maximum(heights, low)) if is_logarithmic else heights
        colours = _SHADES(np.clip(norm(heights), 0, 1))
        ax.plot_surface(
            across, up, shown, facecolors=colours, linewidth=0, rstride=1, cstride=1, shade=False
        )
        ax.tick_params(labelsize=6, colors=INK, pad=-3)
        ax.set_zlim(*(np.log10([low, high]) if is_logarithmic else (low, high)))
        panel_title(ax, part, width=26)
    scale = "its decimal logarithm" if is_logarithmic else "the loss"
    caption = f"The surfaces of {title} seen from the side; upwards {scale}, alike in all panels."
    return Plot(plot_name(name, "hills"), f"Loss surface, side view: {title}", caption, figure)


def _panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    columns = min(_COLUMNS, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(WIDTH, height * rows + 0.3), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in grid[count:]:
        unused.remove()
    return figure, grid[:count]


def _levels(surfaces: Mapping[str, LossSurface]) -> tuple[np.ndarray, Normalize]:
    """Heights of the lines, and the shades between: logarithmic where losses span decades."""
    losses = np.concatenate([surface.losses.ravel() for surface in surfaces.values()])
    losses = losses[np.isfinite(losses)]
    if not losses.size:
        losses = np.array([0.0, 1.0])
    low, high = float(losses.min()), float(losses.max())
    if low > 0 and high > 10 * low:
        # Below that, rounding makes pictures of its own.
        low = max(low, high * 1e-9)
        return np.geomspace(low, high, _LEVELS), LogNorm(low, high)
    high = high if high > low else low + 1.0
    return np.linspace(low, high, _LEVELS), Normalize(low, high)
