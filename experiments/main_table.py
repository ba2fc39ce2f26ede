"""The paper's main table: every method of the zoo on every data set that is there.

    masam experiment main_table
    masam experiment main_table --datasets crema_d food101

Methods have the options that were published for the data, as ``masam compare`` takes them; of MASAM
there is a row at the radius of `experiments.radii` too.
"""

import dataclasses
from collections.abc import Sequence

from experiments.alone import run_alone
from experiments.paper import Findings, FinishedRun, PaperExperiment, PlannedRun, Scale
from experiments.published_results import BEST_PREVIOUS, published_score
from experiments.radii import masam_of
from masam_jax.analysis import comparison_table, headline
from masam_jax.analysis.final_scores import final_score_plots
from masam_jax.analysis.formatting import number
from masam_jax.analysis.result_table import (
    Cell,
    ResultTable,
    number_cell,
    summary_cell,
    text_cell,
    with_best,
)
from masam_jax.analysis.style import Plot
from masam_jax.api.method_list import bind_method
from masam_jax.methods import method_names

OWN_RADIUS = "MASAM, own radius"
# Late fusion with its fusion head named, which is late fusion where the head is the default one.
_LEFT_OUT = ("concat",)
_QUICK = ("late_fusion", "sam", "masam")

_CAPTION = (
    "Test score in the data set's own metric, in percent: mean ± standard deviation over seeds."
    " Published: the paper's, of 4 seeds, with its networks, splits and pretrained weights."
)


def plan(dataset: str, scale: Scale) -> list[PlannedRun]:
    """All methods in one comparison; with `--quick` a few."""
    every = [name for name in method_names() if name not in (*_LEFT_OUT, "late_fusion")]
    chosen = _QUICK if scale.quick else ("late_fusion", *every)
    methods = {name: name for name in chosen}
    own = masam_of(dataset)
    methods |= {OWN_RADIUS: own} if own not in methods.values() else {}
    return [PlannedRun(dataset, "all-methods", methods, scale.options(dataset))]


def conclude(runs: Sequence[FinishedRun], scale: Scale) -> Findings:
    """The measured table, the published one, and the scores of every data set."""
    said = [headline(comparison_table(r.record.results), r.planned.dataset) for r in runs]
    return Findings(
        tuple(said),
        (_measured(runs), published_table()),
        tuple(_scores(run) for run in runs),
    )


def _measured(runs: Sequence[FinishedRun]) -> ResultTable:
    names = list(dict.fromkeys(name for run in runs for name in run.planned.methods))
    headings, columns = ["Method"], [[text_cell(title_of(name)) for name in names]]
    for run in runs:
        metric = run.record.metric
        headings.append(f"{run.planned.dataset}, {metric}")
        columns.append([_score(run, name) for name in names])
        if any(published_score(run.planned.dataset, name) is not None for name in names):
            headings.append(f"{run.planned.dataset}, published")
            columns.append([_published(run.planned.dataset, name) for name in names])
    rows = tuple(zip(*columns, strict=True))
    for place in range(1, len(headings)):
        rows = with_best(rows, place)
    return ResultTable("main-table", "All methods", tuple(headings), rows, _CAPTION)


def title_of(name: str) -> str:
    """What the table calls a method of the plan."""
    return name if name == OWN_RADIUS else bind_method(name).title


def _score(run: FinishedRun, name: str) -> Cell:
    if name not in run.planned.methods:
        return text_cell(number(None))
    return summary_cell(run.summary(name), scale=100)


def _published(dataset: str, name: str) -> Cell:
    score = published_score(dataset, name)
    return number_cell(None if score is None else score * 100, 1)


def published_table() -> ResultTable:
    """The seven columns as published."""
    rows = []
    for dataset, best in BEST_PREVIOUS.items():
        late, previous, masam = (
            _published(dataset, name) for name in ("late_fusion", best, "masam")
        )
        rows.append((text_cell(dataset), late, previous, text_cell(best), masam))
    headings = ("Data set", "Late fusion, %", "Best previous, %", "which is", "MASAM, %")
    caption = "Published, means of 4 seeds, in each data set's own metric."
    return ResultTable("published", "What was published", headings, tuple(rows), caption)


def _scores(run: FinishedRun) -> Plot:
    plot = final_score_plots(run.record)[0]
    title = f"{plot.title}, {run.planned.dataset}"
    return dataclasses.replace(plot, name=f"scores-{run.planned.slug}", title=title)


EXPERIMENT = PaperExperiment(
    "main_table", "Which method is best, on every data set that is there?", plan, conclude
)

if __name__ == "__main__":
    run_alone(EXPERIMENT)
