"""Flatness of every encoder after training, method by method, seed by seed."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from experiments.paper import FinishedRun
from masam_jax.analysis.style import (
    WIDTH,
    Plot,
    few_log_ticks,
    legend_above,
    line_styles,
    panel_title,
    style_axes,
    take_literally,
)


def flatness_plot(
    run: FinishedRun,
    found: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]],
    quantities: Mapping[str, str],
    strong: str,
    which: str,
    words: str,
) -> Plot:
    """A panel for each quantity, modalities down, a dot for each method and seed.

    Args:
      run: the run.
      found: method -> quantity -> modality -> a number for each seed.
      quantities: which ones are shown, and in what words.
      strong: the modality that is marked.
      which: the loss, as part of a file name.
      words: what it is.
    """
    modalities = run.record.results["modalities"]
    styles = line_styles(list(found))
    height = 1.1 + 0.2 * len(modalities) * len(found)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(1, len(quantities), sharey=True, squeeze=False)[0]
    for ax, (quantity, heading) in zip(axes, quantities.items(), strict=True):
        style_axes(ax, grid="x")
        panel_title(ax, heading)
        ax.set_xscale("log")
        for place, (name, of) in enumerate(found.items()):
            shift = 0.7 * ((place + 0.5) / len(found) - 0.5)
            for row, m in enumerate(modalities):
                values = np.array(of[quantity][m], np.float64)
                values = values[np.isfinite(values) & (values > 0)]
                colour = styles[name].colour
                at = np.full(values.size, row + shift)
                ax.scatter(values, at, s=9, color=colour, alpha=0.4, linewidths=0)
                if values.size:
                    middle = np.exp(np.log(values).mean())
                    ax.plot([middle], [row + shift], marker="|", ms=9, mew=2, color=colour)
        few_log_ticks(ax.xaxis)
    names = [f"{m} (strong)" if m == strong else m for m in modalities]
    axes[0].set_yticks(range(len(modalities)), names)
    axes[0].set_ylim(len(modalities) - 0.5, -0.5)
    take_literally(axes[0].get_yticklabels())
    legend_above(figure, styles)
    return Plot(
        f"flatness-{which}-{run.planned.slug}",
        f"Flatness of the {words}, {run.planned.dataset}",
        "After training, by the parameters of each encoder; left is"
        " flatter. Dots: seeds. Lines: geometric means. Numbers that are not above 0 are left out.",
        figure,
    )
