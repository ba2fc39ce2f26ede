"""What the networks of a diagnosis are asked: every number of every seed, before any conclusion."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.analysis.records import Directory, MethodRecord
from masam_jax.diagnosis.shares import Shares, gradient_shares, prediction_shares
from masam_jax.training.course import reported_point
from masam_jax.training.predictions import Point, Predictors, measure
from masam_jax.training.problem import Problem
from masam_jax.training.state import abstract_state
from masam_jax.training.storage.checkpoints import Checkpoints
from masam_jax.training.storage.run_directory import read_config
from masam_jax.training.task import Task

ALONE = "unimodal"
"""Every modality trained by itself, all in one run; its prediction averages theirs."""
JOINT = "fusion_only"
"""The network as it is usually trained: by the fusion loss alone."""
WATCHED = "masam:rho=0"
"""Late fusion with unimodal losses: a perturbation of radius 0 is none, and its scores are kept."""
METHODS = (ALONE, JOINT, WATCHED)

ByModality = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Observations:
    """Of all seeds that did not diverge; accuracies and shares are fractions, arrays ``[S]``.

    Attributes:
      dataset: the data set's name.
      split: the samples that accuracies are of, ``test`` or ``validation``.
      seeds: those that did not diverge.
      diverged: those that did.
      chance: accuracy of always saying the most frequent class (of each label).
      alone: each modality's own head, trained alone.
      alone_validation: the same on the validation samples, by which the best one is chosen.
      mean_of_alone: the average of the predictions of the modalities trained alone.
      joint: the prediction trained jointly on the fusion loss.
      supervised: the same with unimodal losses.
      probe_alone: linear probes on the encoders trained alone.
      probe_joint: on those trained jointly on the fusion loss.
      probe_supervised: on those trained with unimodal losses.
      logit_share: of the modalities, in the logits of the joint network.
      answer_share: of the modalities, in what it gets right beyond guessing.
      first_gradient_share: of the encoders, in its gradient before the first step.
      last_gradient_share: after the last one.
      alignment: γ of each encoder, averaged over training with unimodal losses.
      dominant_share: of the steps in which MASAM's score would have chosen the modality.
      gap_alone: training less reported accuracy of each modality's head, trained alone.
      gap_supervised: the same, trained jointly with unimodal losses.
      gap_joint: the same of the joint prediction.
    """

    dataset: str
    split: str
    seeds: tuple[int, ...]
    diverged: tuple[int, ...]
    chance: float
    alone: ByModality
    alone_validation: ByModality
    mean_of_alone: np.ndarray
    joint: np.ndarray
    supervised: np.ndarray
    probe_alone: ByModality
    probe_joint: ByModality
    probe_supervised: ByModality
    logit_share: ByModality
    answer_share: ByModality
    first_gradient_share: ByModality
    last_gradient_share: ByModality
    alignment: ByModality
    dominant_share: ByModality
    gap_alone: ByModality
    gap_supervised: ByModality
    gap_joint: np.ndarray

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, sorted."""
        return tuple(self.alone)

    def by_seed(self) -> dict[str, Any]:
        """Every array, by its name."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: each for name, each in values.items() if isinstance(each, dict | np.ndarray)}


def observe(problem: Problem, tasks: Mapping[str, Task], record: Directory) -> Observations:
    """Everything that a diagnosis concludes from.

    Args:
      problem: data and network.
      tasks: by specification, those of `METHODS`.
      record: the finished comparison of these.

    Raises:
      RunError: a checkpoint is damaged.
    """
    records = {method.result["spec"]: method for method in record.methods}
    split = record.split
    results = {spec: records[spec].result[split] for spec in METHODS}
    points = {
        spec: _point(record.path / "methods" / task.method.slug, task)
        for spec, task in tasks.items()
    }
    train = _training_accuracies(problem, tasks, points)
    reported = {spec: _by_modality(results[spec]["unimodal_accuracy"]) for spec in METHODS}
    joint = points[JOINT]
    logits, answers = prediction_shares(problem, joint, problem.indices(split))
    initial, statistics = problem.initial(problem.experiment.model.fusion)
    first = joint._replace(params=initial, statistics=statistics)
    whole = Observations(
        dataset=problem.data.name,
        split=split,
        seeds=problem.experiment.seeds.values,
        diverged=(),
        chance=_chance(problem.data.labels[problem.indices(split)]),
        alone=reported[ALONE],
        alone_validation=_by_modality(records[ALONE].result["validation"]["unimodal_accuracy"]),
        mean_of_alone=_array(results[ALONE]["accuracy"]),
        joint=_array(results[JOINT]["accuracy"]),
        supervised=_array(results[WATCHED]["accuracy"]),
        probe_alone=_by_modality(results[ALONE]["probe_accuracy"]),
        probe_joint=_by_modality(results[JOINT]["probe_accuracy"]),
        probe_supervised=_by_modality(results[WATCHED]["probe_accuracy"]),
        logit_share=logits,
        answer_share=answers,
        first_gradient_share=gradient_shares(problem, first),
        last_gradient_share=gradient_shares(problem, joint),
        alignment=_over_training(records[WATCHED], "alignment", problem.modalities, np.mean),
        dominant_share=_over_training(
            records[WATCHED], "dominant_share", problem.modalities, lambda x, axis: x[-1]
        ),
        gap_alone=_less(train[ALONE]["unimodal_accuracy"], reported[ALONE]),
        gap_supervised=_less(train[WATCHED]["unimodal_accuracy"], reported[WATCHED]),
        gap_joint=_array(train[JOINT]["accuracy"]) - _array(results[JOINT]["accuracy"]),
    )
    losses = [_array(results[spec]["fusion_loss"]) for spec in METHODS]
    probes = [*whole.probe_alone.values(), *whole.probe_joint.values()]
    return _of_seeds(whole, np.asarray(np.isfinite([*losses, *probes]).all(axis=0)))


def _point(place: Path, task: Task) -> Point:
    with Checkpoints(place / "checkpoints", read_config(place), read_only=True) as checkpoints:
        state, _ = checkpoints.restore(abstract_state(task))
    return reported_point(state, task.problem.experiment.evaluation.report == "best")


def _training_accuracies(
    problem: Problem, tasks: Mapping[str, Task], points: Mapping[str, Point]
) -> dict[str, dict[str, Any]]:
    predictors, rows = Predictors(problem), problem.indices("train")
    return {
        spec: measure(predictors.of(task)(points[spec], rows), problem.data.num_classes)
        for spec, task in tasks.items()
    }


def _chance(labels: np.ndarray) -> float:
    """Of rows ``[S, n]`` or ``[S, n, K]``, the first seed's: they are the same for all."""
    columns = labels[0].reshape(labels.shape[1], -1)
    return float(np.mean([np.bincount(column).max() / len(column) for column in columns.T]))


def _over_training(
    method: MethodRecord, key: str, modalities: tuple[str, ...], reduce: Any
) -> Shares:
    curves = {m: method.curve("train", key, m) for m in modalities}
    return {m: reduce(curve.values, axis=0) for m, curve in curves.items() if curve is not None}


def _array(values: Any) -> np.ndarray:
    return np.asarray([np.nan if v is None else v for v in values], np.float64)


def _by_modality(values: Mapping[str, Any]) -> Shares:
    return {m: _array(values[m]) for m in sorted(values)}


def _less(first: Mapping[str, Any], second: ByModality) -> Shares:
    return {m: _array(first[m]) - second[m] for m in second}


def _of_seeds(whole: Observations, kept: np.ndarray) -> Observations:
    """The same of some seeds."""
    changes: dict[str, Any] = {}
    for field in dataclasses.fields(whole):
        value = getattr(whole, field.name)
        if isinstance(value, np.ndarray):
            changes[field.name] = value[kept]
        elif isinstance(value, dict):
            changes[field.name] = {m: each[kept] for m, each in value.items()}
    seeds = np.asarray(whole.seeds)
    return dataclasses.replace(
        whole,
        **changes,
        seeds=tuple(map(int, seeds[kept])),
        diverged=tuple(map(int, seeds[~kept])),
    )
