"""What MASAM did: score, alignment and decay of each modality, and which one was dominant."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from masam_jax.analysis.records import Directory, MethodRecord
from masam_jax.analysis.style import (
    GRID,
    INK,
    WIDTH,
    LineStyle,
    Plot,
    legend_above,
    mean_band,
    modality_styles,
    panel_title,
    step_axis,
    style_axes,
    wrapped,
)

_QUANTITIES = {
    "score": "APS score",
    "alignment": "alignment γ (cosine)",
    "decay": "learning speed: Decay, nats",
    "dominant_share": "dominant so far, % of steps",
}


def modality_plots(directory: Directory) -> list[Plot]:
    """Shares of all MASAM methods in one figure, then one figure of traces per MASAM method."""
    traced = [m for m in directory.methods if _modalities(m)]
    if not traced:
        return []
    styles = modality_styles(sorted({name for m in traced for name in _modalities(m)}))
    plots = [_traces(method, styles) for method in traced]
    with_shares = [m for m in traced if m.traced_modalities("dominant_share")]
    return ([_shares(with_shares, styles)] if with_shares else []) + plots


def _modalities(method: MethodRecord) -> set[str]:
    return {name for key in _QUANTITIES for name in method.traced_modalities(key)}


def _traces(method: MethodRecord, styles: dict[str, LineStyle]) -> Plot:
    logged = [key for key in _QUANTITIES if method.traced_modalities(key)]
    columns = min(2, len(logged))
    rows = -(-len(logged) // columns)
    figure = Figure(figsize=(WIDTH, 2.4 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    seeds = 1
    for position, (ax, key) in enumerate(zip(grid.flat, logged, strict=False)):
        style_axes(ax)
        scale = 100.0 if key == "dominant_share" else 1.0
        for modality, style in styles.items():
            curve = method.curve("train", key, modality)
            if curve is not None:
                seeds = max(seeds, curve.values.shape[1])
                mean_band(ax, curve.steps, curve.values * scale, style, width=1.3)
        if key in ("score", "alignment"):
            ax.axhline(0, color=INK, lw=0.6, zorder=0.5)
        if key == "dominant_share":
            ax.set_ylim(bottom=0)
        panel_title(ax, _QUANTITIES[key])
        step_axis(ax)
        ax.tick_params(labelbottom=position + columns >= len(logged))
    for unused in list(grid.flat)[len(logged) :]:
        unused.remove()
    legend_above(figure, {name: styles[name] for name in styles if name in _modalities(method)})
    figure.supxlabel("training step", fontsize=9)
    band = f"mean ± one standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    caption = (
        f"{method.title}, per modality over training ({band}). The score chooses the dominant "
        "modality: APS = α · Decay + (1 − α) · γ, where γ is the cosine between the gradients of "
        "the fusion and the unimodal loss, and Decay how far the loss's moving average fell."
    )
    name = f"modalities-{method.result['slug']}"
    return Plot(name, f"Modality dynamics: {method.title}", caption, figure)


def _shares(methods: list[MethodRecord], styles: dict[str, LineStyle]) -> Plot:
    figure = Figure(figsize=(WIDTH, 0.95 + 0.42 * len(methods)), layout="constrained")
    ax = figure.subplots()
    style_axes(ax, grid="none")
    for row, method in enumerate(methods):
        left = 0.0
        for index, modality in enumerate(styles):
            curve = method.curve("train", "dominant_share", modality)
            if curve is None:
                continue
            last = np.ma.masked_invalid(curve.values[-1]) * 100
            share = float(last.mean()) if last.count() else 0.0
            _segment(ax, row, left, share, styles[modality], hatched=index >= 6)
            left += share
        # Steps without a dominant modality (all absent, no usable gradient) stay visible.
        ax.barh(row, max(0.0, 100 - left), left=left, height=0.62, color=GRID)
    ax.set_yticks(range(len(methods)), [wrapped(m.title, 26) for m in methods], fontsize=9)
    for label in ax.get_yticklabels():
        label.set_parse_math(False)
    ax.set_ylim(len(methods) - 0.45, -0.55)
    ax.set_xlim(0, 100)
    ax.set_xlabel("share of training steps, %", fontsize=9)
    legend_above(figure, styles)
    caption = (
        "How often each modality was dominant (had the highest score, or was drawn or fixed where "
        "the method says so), in percent of all training steps, mean over seeds."
    )
    return Plot("dominant-share", "Dominant modality", caption, figure)


def _segment(
    ax: Axes, row: int, left: float, share: float, style: LineStyle, *, hatched: bool
) -> None:
    ax.barh(
        row,
        share,
        left=left,
        height=0.62,
        color=style.colour,
        edgecolor="white",
        linewidth=0.8,
        hatch="//" if hatched else None,
    )
    if share >= 6:
        # White on orange or light blue, black on dark blue: neither could be read.
        text = _contrasting(style.colour)
        ax.text(left + share / 2, row, f"{share:.0f}", ha="center", va="center", color=text, size=9)


def _contrasting(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 140 else INK
