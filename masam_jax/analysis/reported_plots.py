"""What the methods reported of their steps: weights and factors of each modality over training."""

from collections.abc import Mapping

from masam_jax.analysis.method_words import reported_words
from masam_jax.analysis.modality_traces import (
    NORMS,
    draw_traces,
    has_values,
    logarithmic_words,
)
from masam_jax.analysis.palette import INK
from masam_jax.analysis.records import Directory, MethodRecord
from masam_jax.analysis.seed_bands import band_words
from masam_jax.analysis.style import LineStyle, Plot, line_styles

# A loss is no modality, but has a weight.
_FUSION = "fusion"


def reported_plots(directory: Directory) -> list[Plot]:
    """One folded figure for each method that logged coefficients of its own, or norms of gradients.

    Those of masam are among `modality_plots`.
    """
    plots = []
    for method in directory.methods:
        panels = _panels(method)
        if panels and not method.traced_modalities("score"):
            plots.append(_plot(method, panels))
    return plots


def _panels(method: MethodRecord) -> dict[str, str]:
    words = reported_words(str(method.result["spec"])) | NORMS
    return {key: text for key, text in words.items() if has_values(method, key)}


def _plot(method: MethodRecord, panels: Mapping[str, str]) -> Plot:
    names = sorted({name for key in panels for name in method.traced_modalities(key)})
    styles = line_styles([name for name in names if name != _FUSION])
    if _FUSION in names:
        styles = {_FUSION: LineStyle(INK, "-")} | styles
    figure, seeds = draw_traces(method, panels, styles)
    caption = (
        f"{method.title}: what each step was made with, as the method reports it,"
        f" at the steps that were logged. {band_words(seeds)}{logarithmic_words(panels, seeds)}"
    )
    name = f"reported-{method.result['slug']}"
    return Plot(name, f"Weights and factors: {method.title}", caption, figure, folded=True)
