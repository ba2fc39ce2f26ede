"""Noisy inputs, and modalities that are missing: at test of trained networks, and in training.

    masam experiment robustness --datasets mfeat

The networks are those of the ablation. At test they are asked again, with Gaussian noise on the
standardised inputs of all modalities, with modalities missing at random (one always remains), and
with each modality taken away from all samples. Where modalities are missing in training, networks
are trained anew, and tested on samples that have all of them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

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
from experiments.saved import measured, scores_under
from experiments.verdict import verdict
from masam_jax.analysis import summarize
from masam_jax.analysis.result_table import ResultTable, score_table
from masam_jax.analysis.style import Plot

# Decibels: noise of a tenth of the signal's power, of the same, of ten times that.
_DECIBELS = (20.0, 10.0, 5.0, 0.0, -5.0, -10.0)
_SHARES = (0.0, 0.25, 0.5, 0.75)
_QUICK_SHARES = (0.0, 0.5)

Series = dict[str, np.ndarray]


def _shares(scale: Scale) -> tuple[float, ...]:
    return _QUICK_SHARES if scale.quick else _SHARES


def _decibels(scale: Scale) -> tuple[float, ...]:
    return _DECIBELS[::3] if scale.quick else _DECIBELS


def plan(dataset: str, scale: Scale) -> list[PlannedRun]:
    """The ablation, and its main rows again with modalities missing in training."""
    options = scale.options(dataset)
    missing = {"missing_in": "train"}
    return [
        PlannedRun(
            dataset, _label(share), compared(dataset), options | missing | {"missing": share}
        )
        if share
        else PlannedRun(dataset, _label(share), ablation(dataset), options)
        for share in _shares(scale)
    ]


def conclude(runs: Sequence[FinishedRun], scale: Scale) -> Findings:
    """Three curves and their areas, and a table of modalities taken away, for each data set."""
    noise: dict[str, Series] = {}
    at_test: dict[str, Series] = {}
    in_training: dict[str, Series] = {}
    tables: list[ResultTable] = []
    for dataset, found in by_dataset(runs).items():
        clean = found["ablation"]
        asked = _conditions(clean, scale)
        scores = _scores(clean, asked)
        names = list(compared(dataset))
        noise[dataset] = _series(scores, [f"{d:g} dB" for d in _decibels(scale)], names)
        at_test[dataset] = _series(scores, [f"{s:g} missing" for s in _shares(scale)], names)
        in_training[dataset] = {
            name: np.array([found[_label(s)].scores(name) for s in _shares(scale)], np.float64)
            for name in names
        }
        tables += [
            _areas(clean, scale, noise[dataset], at_test[dataset], in_training[dataset]),
            _taken_away(clean, scores),
        ]
    remarks = [
        verdict({n: area(at, v) for n, v in lines[dataset].items()}, f"area under {what}", dataset)
        for dataset in noise
        for what, lines, at in (
            ("noise at test", noise, [-d for d in _decibels(scale)]),
            ("modalities missing at test", at_test, _shares(scale)),
            ("modalities missing in training", in_training, _shares(scale)),
        )
    ]
    return Findings(tuple(remarks), tuple(tables), _plots(scale, noise, at_test, in_training))


def _label(share: float) -> str:
    return f"missing-in-training-{100 * share:.0f}" if share else "ablation"


def _conditions(run: FinishedRun, scale: Scale) -> dict[str, dict[str, Any]]:
    """What test samples suffer -> the configuration of it."""
    noise = {f"{d:g} dB": {"input_noise": d, "input_noise_in": "test"} for d in _decibels(scale)}
    shares: dict[str, dict[str, Any]] = {
        f"{s:g} missing": {"missing": s, "missing_in": "test"} if s else {} for s in _shares(scale)
    }
    modalities = run.record.results["modalities"]
    away = {f"without {m}": {"missing_at_test": (m,)} for m in modalities}
    return {**noise, **shares, **away}


def _scores(
    run: FinishedRun, asked: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, list[float]]]:
    names = list(compared(run.planned.dataset))
    key = hashlib.sha256(json.dumps([names, asked], sort_keys=True).encode()).hexdigest()[:12]
    found: dict[str, dict[str, list[float]]] = measured(
        run, f"robustness-{key}", lambda: scores_under(run, names, asked)
    )
    return found


def _series(
    scores: Mapping[str, Mapping[str, Sequence[float]]],
    conditions: Sequence[str],
    names: Sequence[str],
) -> Series:
    return {name: np.array([scores[c][name] for c in conditions], np.float64) for name in names}


def _areas(
    run: FinishedRun, scale: Scale, noise: Series, at_test: Series, in_training: Series
) -> ResultTable:
    louder = [-d for d in _decibels(scale)]
    rows = {
        name: {
            "Clean": run.summary(name),
            "Noise at test": summarize(area(louder, noise[name])),
            "Missing at test": summarize(area(_shares(scale), at_test[name])),
            "Missing in training": summarize(area(_shares(scale), in_training[name])),
        }
        for name in noise
    }
    return score_table(
        f"areas-{run.planned.slug}",
        f"Areas under the curves on {run.planned.dataset}",
        rows,
        caption="Test score in percent, averaged over each curve; mean ± standard deviation over"
        " seeds.",
    )


def _taken_away(
    run: FinishedRun, scores: Mapping[str, Mapping[str, Sequence[float]]]
) -> ResultTable:
    rows = {
        name: {"All": run.summary(name)}
        | {c: summarize(by[name]) for c, by in scores.items() if c.startswith("without ")}
        for name in compared(run.planned.dataset)
    }
    return score_table(
        f"without-{run.planned.slug}",
        f"A modality taken away at test, {run.planned.dataset}",
        rows,
        caption="Test score in percent, mean ± standard deviation over seeds. The inputs of the"
        " modality are zeros, its mean, for every test sample.",
    )


def _plots(
    scale: Scale,
    noise: dict[str, Series],
    at_test: dict[str, Series],
    in_training: dict[str, Series],
) -> tuple[Plot, ...]:
    score = "Test score in the data set's own metric."
    percent = {s: f"{100 * s:.0f} %" for s in _shares(scale)}
    return (
        curves_plot(
            "input-noise",
            "Test score over the noise of test inputs",
            noise,
            [-d for d in _decibels(scale)],
            axis="signal-to-noise ratio of the test inputs, dB",
            ticks={-d: f"{d:g}" for d in _decibels(scale)},
            caption=score,
        ),
        curves_plot(
            "missing-at-test",
            "Test score over modalities missing at test",
            at_test,
            _shares(scale),
            axis="chance that a test sample lacks a modality, of each",
            ticks=percent,
            caption=score,
        ),
        curves_plot(
            "missing-in-training",
            "Test score over modalities missing in training",
            in_training,
            _shares(scale),
            axis="chance that a training sample lacks a modality, of each",
            ticks=percent,
            caption=f"{score} Test samples have all modalities.",
        ),
    )


EXPERIMENT = PaperExperiment(
    "robustness", "What do noise and missing modalities cost each method?", plan, conclude
)

if __name__ == "__main__":
    run_alone(EXPERIMENT)
