"""Pictures of `experiments.dynamics`."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from experiments.dynamics_tables import Case
from masam_jax.analysis.palette import MUTED
from masam_jax.analysis.style import (
    WIDTH,
    Plot,
    legend_above,
    line_styles,
    panel_title,
    style_axes,
)

_COLUMNS = 3


def share_plot(name: str, dataset: str, cases: Sequence[Case]) -> Plot:
    """How often each modality was chosen, over what its removal costs; a point a seed."""
    styles = line_styles(sorted(cases[0].costs))
    rows = -(-len(cases) // _COLUMNS)
    columns = min(_COLUMNS, len(cases))
    figure = Figure(figsize=(WIDTH, 0.5 + 2.2 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for ax, case in zip(grid.flat, cases, strict=False):
        style_axes(ax)
        ax.axvline(0, color=MUTED, lw=0.6, zorder=0.5)
        for m, style in styles.items():
            share, cost = 100 * case.shares[m], 100 * case.costs[m]
            ax.plot(cost, share, ls="", marker="o", ms=4, alpha=0.75, color=style.colour)
        panel_title(ax, case.words, width=30)
        ax.set_ylim(-4, 104)
    for unused in list(grid.flat)[len(cases) :]:
        unused.remove()
    figure.supxlabel("cost of masking the modality at test, points", fontsize=9)
    figure.supylabel("dominant, % of steps", fontsize=9)
    legend_above(figure, styles)
    caption = (
        f"{dataset}: every point is a modality of one seed's network. Were the score to choose what"
        " the network needs most, the rightmost point of a seed would be its highest."
    )
    return Plot(name, f"Choice over cost of removal, {dataset}", caption, figure)
