"""What MASAM did: score, alignment and decay of each modality over training, and its choices."""

import numpy as np
from matplotlib.figure import Figure

from masam_jax.analysis.dominant_shares import dominant_shares, perturbs_all
from masam_jax.analysis.palette import MUTED
from masam_jax.analysis.records import Directory, MethodRecord
from masam_jax.analysis.seed_bands import band_words
from masam_jax.analysis.statistics import summarize
from masam_jax.analysis.style import (
    WIDTH,
    LineStyle,
    Plot,
    draw_seeds,
    legend_above,
    line_styles,
    panel_title,
    step_axis,
    style_axes,
)

_QUANTITIES = {
    "score": "APS score",
    "alignment": "alignment γ (cosine)",
    "decay": "learning speed: Decay, nats",
    "dominant_share": "dominant so far, % of steps",
}


def modality_plots(directory: Directory) -> list[Plot]:
    """Shares of all MASAM methods in one figure, then one figure of traces per MASAM method.

    In a report the traces of the method with the highest score are open, the others folded.
    """
    traced = [m for m in directory.methods if _modalities(m)]
    if not traced:
        return []
    styles = line_styles(sorted({name for m in traced for name in _modalities(m)}))
    best = max(traced, key=lambda m: (not perturbs_all(m), _score(directory, m)))
    plots = [_traces(method, styles, folded=method is not best) for method in traced]
    with_shares = [m for m in traced if m.traced_modalities("dominant_share")]
    shares = [dominant_shares(with_shares, styles)] if with_shares else []
    return shares + sorted(plots, key=lambda plot: plot.folded)


def _score(directory: Directory, method: MethodRecord) -> float:
    return summarize(directory.scores(method)).mean or 0.0


def _modalities(method: MethodRecord) -> set[str]:
    return {name for key in _QUANTITIES for name in method.traced_modalities(key)}


def _traces(method: MethodRecord, styles: dict[str, LineStyle], *, folded: bool) -> Plot:
    logged = [key for key in _QUANTITIES if _has_values(method, key)]
    columns = min(2, len(logged))
    rows = -(-len(logged) // columns)
    figure = Figure(figsize=(WIDTH, 2.1 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    seeds = 1
    for position, (ax, key) in enumerate(zip(grid.flat, logged, strict=False)):
        style_axes(ax)
        scale = 100.0 if key == "dominant_share" else 1.0
        for modality, style in styles.items():
            curve = method.curve("train", key, modality)
            if curve is not None:
                seeds = max(seeds, curve.values.shape[1])
                draw_seeds(ax, curve.steps, curve.values * scale, style, width=1.3)
        if key in ("score", "alignment"):
            ax.axhline(0, color=MUTED, lw=0.6, zorder=0.5)
        else:
            # Neither can be below 0, and nor does the axis suggest so.
            ax.set_ylim(bottom=0)
        panel_title(ax, _QUANTITIES[key])
        step_axis(ax)
        ax.tick_params(labelbottom=position + columns >= len(logged))
    for unused in list(grid.flat)[len(logged) :]:
        unused.remove()
    legend_above(figure, {name: styles[name] for name in styles if name in _modalities(method)})
    figure.supxlabel("training step", fontsize=9)
    choice = (
        "select=all perturbs every encoder, so that the score chooses nothing"
        if perturbs_all(method)
        else "The score chooses the dominant modality"
    )
    few = " Where few seeds have most of a mean, it lies outside the band." if seeds > 2 else ""
    caption = (
        f"{method.title}, each modality over training. {choice}: APS = α · Decay + (1 − α) · γ, "
        "where γ is the cosine between the gradients of the fusion and the unimodal loss, and "
        "Decay how far the moving average of the loss lies below the previous loss, or 0. "
        f"{band_words(seeds)}{few}"
    )
    name = f"modalities-{method.result['slug']}"
    return Plot(name, f"Modality dynamics: {method.title}", caption, figure, folded)


def _has_values(method: MethodRecord, key: str) -> bool:
    """Whether a quantity was logged, and a share is more than 0 of every modality."""
    modalities = method.traced_modalities(key)
    if key != "dominant_share":
        return bool(modalities)
    curves = [method.curve("train", key, modality) for modality in modalities]
    return any(c is not None and np.nan_to_num(c.values).any() for c in curves)
