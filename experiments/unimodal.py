"""The paper's unimodal table: heads on frozen encoders of joint training, against encoders alone.

    masam experiment unimodal --datasets mfeat

A linear head is a logistic regression, and an MLP head has one hidden layer of 64 units; both are
fitted on the features of the training samples. "Alone" is each encoder trained by its own loss.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.alone import run_alone
from experiments.paper import Findings, FinishedRun, PaperExperiment, PlannedRun, Scale
from experiments.radii import ablation
from experiments.saved import measured, opened, point_of
from experiments.verdict import BASELINE
from masam_jax.analysis import paired_test, summarize
from masam_jax.analysis.formatting import interval, number
from masam_jax.analysis.result_table import ResultTable, score_table
from masam_jax.training.linear_probes import LinearProbes

ALONE, FUSION = "alone", "fusion loss alone"
# Head -> units of its hidden layer.
_HEADS = {"linear": 0, "MLP": 64}

Probes = dict[str, dict[str, dict[str, list[float]]]]
"""Head -> method -> modality -> score of each seed."""


def plan(dataset: str, scale: Scale) -> list[PlannedRun]:
    """Alone, jointly without and with unimodal losses, by SAM and by MASAM."""
    rows = ablation(dataset)
    methods = {
        BASELINE: rows[BASELINE],
        ALONE: "unimodal",
        FUSION: "fusion_only",
        "SAM": rows["SAM only"],
        "MASAM": rows["MASAM"],
    }
    return [PlannedRun(dataset, "unimodal", methods, scale.options(dataset))]


def conclude(runs: Sequence[FinishedRun], scale: Scale) -> Findings:
    """A table for each data set and head, modalities down the page."""
    tables, remarks = [], []
    for run in runs:
        names = f"probes-{'-'.join(map(str, _HEADS.values()))}"
        probes: Probes = measured(run, names, lambda run=run: _probes(run))  # type: ignore[misc]
        tables += [_table(run, head, of_head) for head, of_head in probes.items()]
        remarks += [_remark(run, probes["linear"])]
    return Findings(tuple(remarks), tuple(tables))


def _probes(run: FinishedRun) -> Probes:
    problem = opened(run)
    probes = LinearProbes(problem)
    points = {name: point_of(run, name) for name in run.planned.methods}
    return {
        head: {
            name: {
                m: np.asarray(scores).tolist()
                for m, scores in probes.scores(point, "test", units).items()
            }
            for name, point in points.items()
        }
        for head, units in _HEADS.items()
    }


def _table(
    run: FinishedRun, head: str, scores: Mapping[str, Mapping[str, Sequence[float]]]
) -> ResultTable:
    order = [ALONE, *(name for name in scores if name != ALONE)]
    rows = {
        m: {name: summarize(scores[name][m]) for name in order}
        for m in run.record.results["modalities"]
    }
    return score_table(
        f"unimodal-{head.lower()}-{run.planned.slug}",
        f"{head[0].upper()}{head[1:]} heads on frozen encoders, {run.planned.dataset}",
        rows,
        heading="Modality",
        best=False,
        caption="Test score of the head in percent, mean ± standard deviation over seeds. Alone:"
        " each encoder trained by its own loss. The paper's table is of other data, and is not"
        " repeated here.",
    )


def _remark(run: FinishedRun, scores: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Over all modalities: what joint training takes from the encoders, and what MASAM gives."""
    means = {name: np.mean([by[m] for m in by], axis=0).tolist() for name, by in scores.items()}
    parts = []
    for above, below in ((FUSION, ALONE), (BASELINE, ALONE), ("MASAM", BASELINE)):
        test = paired_test(means[above], means[below])
        mean = test.mean_difference
        gained = number(None if mean is None else 100 * mean, signed=True)
        parts.append(f"{above} against {below} {gained} ({interval(test.interval())})")
    return (
        f"On {run.planned.dataset}, points of linear heads averaged over the modalities, with 95 %"
        f" intervals over seeds: {'; '.join(parts)}."
    )


EXPERIMENT = PaperExperiment(
    "unimodal", "How good are single encoders after joint training?", plan, conclude
)

if __name__ == "__main__":
    run_alone(EXPERIMENT)
