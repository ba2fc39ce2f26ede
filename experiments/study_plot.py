"""The study in a picture: what each method gains, case by case."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from experiments.study_evidence import Compared, Difference, place_of
from experiments.study_measurements import CaseMeasurements
from experiments.study_methods import ALONE
from experiments.study_predictors import GAINS
from masam_jax.analysis.palette import MUTED
from masam_jax.analysis.style import (
    WIDTH,
    Plot,
    legend_above,
    line_styles,
    style_axes,
    take_literally,
)

SHOWN = (*GAINS, ALONE)
"""Methods with a dot in every row."""
_TICKS = (-30, -10, -3, -1, 0, 1, 3, 10, 30)


def gain_plot(cases: Sequence[CaseMeasurements], found: Mapping[Compared, Difference]) -> Plot:
    """A row for each case, and a dot with its interval for each of `SHOWN`.

    Args:
      cases: all of them.
      found: of `experiments.study_evidence.differences`.
    """
    styles = line_styles(SHOWN)
    figure = Figure(figsize=(WIDTH, 1.2 + 0.5 * len(cases)), layout="constrained")
    ax = figure.subplots()
    style_axes(ax, grid="x")
    ax.axvline(0, color=MUTED, linewidth=1)
    for row, case in enumerate(cases):
        for place, name in enumerate(SHOWN):
            each = found[place_of(case, name)]
            if each.mean is None:
                continue
            at, colour = row + 0.7 * ((place + 0.5) / len(SHOWN) - 0.5), styles[name].colour
            if each.interval is not None:
                ends = [100 * end for end in each.interval]
                ax.plot(ends, [at, at], color=colour, linewidth=1.4, alpha=0.6)
            ax.plot([100 * each.mean], [at], marker="o", ms=3.5, color=colour)
    # Gains of a point and losses of thirty on one axis.
    ax.set_xscale("symlog", linthresh=2)
    low, high = ax.get_xlim()
    ax.set_xticks([tick for tick in _TICKS if low <= tick <= high])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}" if value else "0"))
    ax.minorticks_off()
    ax.set_xlabel("points over late fusion", fontsize=9)
    labels = [case.title for case in cases]
    ax.set_yticks(range(len(cases)), labels)
    ax.set_ylim(len(cases) - 0.5, -0.5)
    take_literally(ax.get_yticklabels())
    legend_above(figure, styles)
    return Plot(
        "study-gains",
        "What is gained over late fusion with unimodal losses",
        "Differences of the test score, seed by seed: means, and Student's 95 % intervals, which"
        " are not corrected for their number. The axis is logarithmic beyond 2 points.",
        figure,
    )
