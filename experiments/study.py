"""When does it help, and which setting needs no tuning? The protocol is docs/study.md.

    masam experiment study
    masam experiment study --datasets mfeat

Every case trains the rows of `experiments.study_methods`: baselines, one setting that nobody tunes,
and what differs from it in one thing; and, with options searched by validation samples of other
seeds, the same number of trials each, SAM, ASAM, MASAM and late fusion's λ. Hours on two CPU cores;
a run that is stopped goes on where it was.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from experiments.alone import run_alone
from experiments.paper import (
    Findings,
    FinishedRun,
    PaperExperiment,
    PlannedRun,
    PlannedSearch,
    Scale,
)
from experiments.study_cases import CONSTRUCTED, OPEN_SETS, Case, cases_of
from experiments.study_encoders import encoder_table
from experiments.study_evidence import CLAIMED, Compared, Difference, claim, differences, place_of
from experiments.study_measurements import CaseMeasurements, measure_case
from experiments.study_methods import (
    FACTORS,
    LATE_FUSION,
    RECOMMENDED,
    TUNED_FACTORS,
    tuned,
    untuned,
)
from experiments.study_plot import gain_plot
from experiments.study_predictors import predictor_table
from experiments.study_summary import summary_table
from masam_jax.analysis import paired_test
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

SEEDS, TRIALS, TRIAL_SEEDS = 16, 8, 2
_QUICK_TRIALS, _QUICK_TRIAL_SEEDS = 2, 1
# A trial is pruned by its course, which needs some points.
_SELDOM = {"log_every": 50, "evaluate_every": 100, "checkpoint_every": 10**9}

_CAPTION = (
    "Test score in percent, mean ± standard deviation over seeds; difference to late fusion with"
    " unimodal losses in points with Student's 95 % interval, seed by seed; p of the paired t-test"
    " after Holm's correction for all differences of the study; Hedges' g; p of the one-sided test"
    " that it is worse by .3 points or more."
)


def plan(dataset: str, scale: Scale) -> list[PlannedRun]:
    """A comparison for each case, its radii searched first; quick is one, without the factors."""
    cases = cases_of(dataset)
    if scale.quick:
        cases = (dataclasses.replace(cases[0], factors=False),)
    return [_planned(case, scale) for case in cases]


def _planned(case: Case, scale: Scale) -> PlannedRun:
    options = {**_SELDOM, **case.options, **scale.options(case.dataset)}
    if scale.seeds is None and not scale.quick:
        options["seeds"] = SEEDS
    trials, seeds = (_QUICK_TRIALS, _QUICK_TRIAL_SEEDS) if scale.quick else (TRIALS, TRIAL_SEEDS)
    label = f"study-{case.words.replace(' ', '-')}"
    return PlannedRun(
        case.dataset,
        label,
        untuned(case.factors),
        options,
        PlannedSearch(tuned(case.factors), trials, seeds),
    )


def conclude(runs: Sequence[FinishedRun], scale: Scale) -> Findings:
    """What each method gains, case by case, of factors, encoders and predictors; the claim."""
    return findings([measure_case(run) for run in runs])


def findings(cases: Sequence[CaseMeasurements]) -> Findings:
    """The same, of what was measured."""
    found = differences(cases)
    overall = summary_table(cases, found, OPEN_SETS)
    tables = [] if overall is None else [overall]
    tables += [_case_table(case, found) for case in cases]
    if factors := [case for case in cases if case.has_factors]:
        tables.append(_factor_table(factors))
        tables += map(encoder_table, factors)
    if (predictors := predictor_table(cases, found)) is not None:
        tables.append(predictors)
    remarks = []
    if {case.dataset for case in cases} & set(OPEN_SETS):
        remarks += [claim(found, OPEN_SETS, method).sentence for method in CLAIMED]
    return Findings(tuple(remarks), tuple(tables), (gain_plot(cases, found),))


def _case_table(case: CaseMeasurements, found: Mapping[Compared, Difference]) -> ResultTable:
    rows = []
    for name, spec in case.methods.items():
        each = found.get(place_of(case, name))
        cells = (Cell("baseline"), *[Cell("—")] * 3)
        if each is not None:
            cells = (
                interval_cell(each.mean, each.interval, scale=100, signed=True),
                Cell(p_value(each.corrected), {"": each.corrected}),
                number_cell(each.hedges, signed=True),
                Cell(p_value(each.not_worse), {"": each.not_worse}),
            )
        score = summary_cell(case.summary(name), scale=100)
        rows.append((text_cell(name), text_cell(spec), score, *cells))
    return ResultTable(
        case.slug,
        case.title,
        ("Method", "Specification", "Score, %", "Difference", "p (Holm)", "g", "p (worse)"),
        with_best(rows, 2),
        _CAPTION,
    )


def _factor_table(cases: Sequence[CaseMeasurements]) -> ResultTable:
    """What each change costs, against what is recommended."""
    rows = []
    for name in (*FACTORS, *TUNED_FACTORS, LATE_FUSION):
        cells = []
        for case in cases:
            test = paired_test(case.scores(name), case.scores(RECOMMENDED))
            mean, interval = test.mean_difference, test.interval()
            cells.append(interval_cell(mean, interval, scale=100, signed=True))
        rows.append((text_cell(name), *cells))
    return ResultTable(
        "study-factors",
        f"What differs from {RECOMMENDED!r} in one thing",
        ("Changed", *(case.title for case in cases)),
        tuple(rows),
        f"Points against {RECOMMENDED!r}, with Student's 95 % interval, seed by seed.",
    )


EXPERIMENT = PaperExperiment(
    "study",
    "When does it help, and which setting needs no tuning?",
    plan,
    conclude,
    (*OPEN_SETS, *CONSTRUCTED),
)

if __name__ == "__main__":
    run_alone(EXPERIMENT)
