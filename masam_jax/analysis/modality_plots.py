"""What MASAM did: score, alignment and decay of each modality over training, and its choices."""

import numpy as np

from masam_jax.analysis.dominant_shares import dominant_shares, perturbs_all
from masam_jax.analysis.modality_traces import (
    NORMS,
    draw_traces,
    has_values,
    logarithmic_words,
)
from masam_jax.analysis.records import Directory, MethodRecord
from masam_jax.analysis.seed_bands import band_words
from masam_jax.analysis.statistics import summarize
from masam_jax.analysis.style import LineStyle, Plot, line_styles

_QUANTITIES = {
    "score": "APS score",
    "alignment": "alignment γ (cosine)",
    "decay": "learning speed: Decay, nats",
    "dominant_share": "dominant so far, % of steps",
    **NORMS,
}


def modality_plots(directory: Directory) -> list[Plot]:
    """Shares of all methods that choose in one figure, then one figure of traces per MASAM method.

    In a report the traces of the method with the highest score are open, the others folded.
    """
    choosing = [m for m in directory.methods if m.traced_modalities("dominant_share")]
    traced = [m for m in directory.methods if m.traced_modalities("score")]
    names = {x for m in choosing + traced for x in m.traced_modalities("unimodal_loss")}
    styles = line_styles(sorted(names))
    shares = [dominant_shares(choosing, styles)] if choosing else []
    if not traced:
        return shares
    best = max(traced, key=lambda m: (not perturbs_all(m), _score(directory, m)))
    plots = [_traces(method, styles, folded=method is not best) for method in traced]
    return shares + sorted(plots, key=lambda plot: plot.folded)


def _score(directory: Directory, method: MethodRecord) -> float:
    return summarize(directory.scores(method)).mean or 0.0


def _traces(method: MethodRecord, styles: dict[str, LineStyle], *, folded: bool) -> Plot:
    logged = {key: words for key, words in _QUANTITIES.items() if has_values(method, key)}
    figure, seeds = draw_traces(method, logged, styles)
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
        f"{_counted(method)}{band_words(seeds)}{few}{logarithmic_words(logged, seeds)}"
    )
    name = f"modalities-{method.result['slug']}"
    return Plot(name, f"Modality dynamics: {method.title}", caption, figure, folded)


def _counted(method: MethodRecord) -> str:
    """How often the choice changed, and was γ's alone, over all steps; means over seeds."""
    said = []
    for key, words in (
        ("argmax_agreement", "the largest score was that of the largest γ"),
        ("switching_rate", "the dominant modality was another one than before"),
    ):
        curve = method.curve("train", key)
        if curve is not None and np.isfinite(curve.values[-1]).any():
            said.append(f"on {100 * np.nanmean(curve.values[-1]):.0f} % {words}")
    if not said:
        return ""
    return f"Of all steps, {' and '.join(said)}. "
