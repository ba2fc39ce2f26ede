"""The paper's ablation: MASAM without its score, without its scale, SAM, and late fusion.

    masam experiment ablation --datasets mfeat

Without APS every encoder is perturbed, each along its own fusion gradient; without MDPS the
perturbation of the dominant encoder is not scaled by γ. Radii: `experiments.radii`.
"""

from collections.abc import Sequence

from experiments.alone import run_alone
from experiments.paper import Findings, FinishedRun, PaperExperiment, PlannedRun, Scale
from experiments.published_results import ABLATION
from experiments.radii import ROWS, ablation
from experiments.verdict import verdict
from masam_jax.analysis import holm, paired_test
from masam_jax.analysis.formatting import p_value
from masam_jax.analysis.result_table import (
    Cell,
    ResultTable,
    interval_cell,
    number_cell,
    summary_cell,
    text_cell,
    with_best,
)

_CAPTION = (
    "Test score in percent, mean ± standard deviation over seeds; difference to late fusion in"
    " points with Student's 95 % interval, seed by seed; p of the paired t-test after Holm's"
    " correction for the rows of the table. Published: the paper's, of 4 seeds."
)


def plan(dataset: str, scale: Scale) -> list[PlannedRun]:
    """The five rows in one comparison."""
    return [PlannedRun(dataset, "ablation", ablation(dataset), scale.options(dataset))]


def conclude(runs: Sequence[FinishedRun], scale: Scale) -> Findings:
    """A table for each data set, and the published one."""
    said = [
        verdict({name: run.scores(name) for name in ROWS}, "score", run.planned.dataset)
        for run in runs
    ]
    return Findings(tuple(said), (*map(_table, runs), published_table()))


def _table(run: FinishedRun) -> ResultTable:
    published = ABLATION.get(run.planned.dataset, {})
    baseline = run.scores("late fusion")
    tests = {name: paired_test(run.scores(name), baseline) for name in ROWS[:-1]}
    defined = {n: t.p_value for n, t in tests.items() if t.p_value is not None}
    corrected = dict(zip(defined, holm(list(defined.values())), strict=True))
    rows = []
    for name in ROWS:
        difference, test = Cell("baseline"), tests.get(name)
        if test is not None:
            mean, interval = test.mean_difference, test.interval()
            difference = interval_cell(mean, interval, scale=100, signed=True)
        score = published.get(name)
        rows.append(
            (
                text_cell(name),
                text_cell(run.planned.methods[name]),
                summary_cell(run.summary(name), scale=100),
                difference,
                Cell(p_value(corrected.get(name)), {"": corrected.get(name)}),
                number_cell(None if score is None else score * 100, 1),
            )
        )
    return ResultTable(
        f"ablation-{run.planned.slug}",
        f"Ablation on {run.planned.dataset}",
        ("Method", "Specification", "Score, %", "Difference", "p (Holm)", "Published, %"),
        with_best(rows, 2),
        _CAPTION,
    )


def published_table() -> ResultTable:
    """Both columns as published."""
    rows = [
        (text_cell(name), *(number_cell(100 * scores[name], 1) for scores in ABLATION.values()))
        for name in ROWS
    ]
    return ResultTable(
        "published",
        "What was published",
        ("Method", *(f"{dataset}, %" for dataset in ABLATION)),
        tuple(rows),
        "Means of 4 seeds, in each data set's own metric.",
    )


EXPERIMENT = PaperExperiment("ablation", "Which part of MASAM does the work?", plan, conclude)

if __name__ == "__main__":
    run_alone(EXPERIMENT)
