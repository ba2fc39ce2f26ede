"""The paper's label noise: training labels wrong in 0 to 80 % of the cases, test labels right.

    masam experiment label_noise --datasets mfeat

Wrong labels are any other class with the same chance, the same for every method and seed of the
data. Networks without noise are those of the ablation.
"""

from collections.abc import Sequence

import numpy as np

from experiments.alone import run_alone
from experiments.curves import area, curves_plot
from experiments.paper import (
    Findings,
    FinishedRun,
    PaperExperiment,
    PlannedRun,
    Scale,
    by_dataset,
)
from experiments.radii import ablation, compared
from experiments.verdict import verdict
from masam_jax.analysis import summarize
from masam_jax.analysis.result_table import ResultTable, score_table

_RATES = (0.0, 0.2, 0.4, 0.6, 0.8)
_QUICK_RATES = (0.0, 0.8)


def rates(scale: Scale) -> tuple[float, ...]:
    """Shares of wrong labels."""
    return _QUICK_RATES if scale.quick else _RATES


def plan(dataset: str, scale: Scale) -> list[PlannedRun]:
    """Late fusion, SAM and MASAM at each rate; without noise they are those of the ablation."""
    options = scale.options(dataset)
    return [
        PlannedRun(dataset, _label(rate), compared(dataset), options | {"label_noise": rate})
        if rate
        else PlannedRun(dataset, _label(rate), ablation(dataset), options)
        for rate in rates(scale)
    ]


def conclude(runs: Sequence[FinishedRun], scale: Scale) -> Findings:
    """A table and a panel for each data set."""
    panels = {
        dataset: _curves([found[_label(rate)] for rate in rates(scale)])
        for dataset, found in by_dataset(runs).items()
    }
    plot = curves_plot(
        "label-noise",
        "Test score over the share of wrong training labels",
        panels,
        rates(scale),
        axis="share of training labels that are wrong",
        ticks={rate: f"{100 * rate:.0f} %" for rate in rates(scale)},
        caption="Test score in the data set's own metric.",
    )
    slugs = {run.planned.dataset: run.planned.slug for run in runs}
    tables = tuple(
        _table(dataset, slugs[dataset], lines, rates(scale)) for dataset, lines in panels.items()
    )
    remarks = tuple(
        verdict({name: area(rates(scale), v) for name, v in lines.items()}, "area", dataset)
        for dataset, lines in panels.items()
    )
    return Findings(remarks, tables, (plot,))


def _label(rate: float) -> str:
    return f"label-noise-{100 * rate:.0f}" if rate else "ablation"


def _curves(runs: Sequence[FinishedRun]) -> dict[str, np.ndarray]:
    return {
        name: np.array([run.scores(name) for run in runs], np.float64)
        for name in runs[-1].planned.methods
    }


def _table(
    dataset: str, slug: str, lines: dict[str, np.ndarray], at: Sequence[float]
) -> ResultTable:
    scores = {
        name: {
            **{f"{100 * r:.0f} % wrong": summarize(row) for r, row in zip(at, values, strict=True)},
            "Area": summarize(area(at, values)),
        }
        for name, values in lines.items()
    }
    return score_table(
        f"label-noise-{slug}",
        f"Label noise on {dataset}",
        scores,
        caption="Test score in percent, mean ± standard deviation over seeds. Area: under the curve"
        " over the share of wrong labels, over its length.",
    )


EXPERIMENT = PaperExperiment(
    "label_noise", "How much do wrong training labels cost each method?", plan, conclude
)

if __name__ == "__main__":
    run_alone(EXPERIMENT)
