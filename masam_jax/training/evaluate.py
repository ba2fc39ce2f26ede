"""A run, read back and evaluated on a split."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from masam_jax.config import InputConfig, added_length, changed_fields, completed
from masam_jax.config.errors import RunError
from masam_jax.data.builders.build_job import OnSample
from masam_jax.methods import BoundMethod
from masam_jax.training.course import reported_point
from masam_jax.training.distribution import make_placement
from masam_jax.training.estimates import Estimates
from masam_jax.training.predictions import Predictions, Predictors, measure
from masam_jax.training.problem import Problem
from masam_jax.training.saved_problem import open_problem
from masam_jax.training.state import abstract_state
from masam_jax.training.storage.checkpoints import Checkpoints
from masam_jax.training.storage.run_config import check_config
from masam_jax.training.storage.run_directory import read_config
from masam_jax.training.storage.surroundings import run_root
from masam_jax.training.task import Task

SplitName = Literal["train", "validation", "test"]
Which = Literal["last", "best"]


@dataclass(frozen=True)
class Evaluation:
    """One method's checkpoint on one split.

    Attributes:
      method: the method.
      seeds: its seeds.
      step: the checkpoint's step.
      rows: row indices ``[S, n]`` into the data set.
      predictions: what each seed predicts for them.
      metrics: what ``measure`` returns.
      metric: the one that the data are judged by.
      class_names: names of the C classes, or of the K labels.
      keys: names of the rows ``[n]`` of the data set; None where they have none.
    """

    method: BoundMethod
    seeds: tuple[int, ...]
    step: int
    rows: np.ndarray
    predictions: Predictions | Estimates
    metrics: dict[str, Any]
    metric: str
    class_names: tuple[str, ...] = ()
    keys: tuple[str, ...] | None = None


def evaluate_run(
    path: Path,
    split: SplitName,
    which: Which | None,
    inputs: InputConfig | None = None,
    *,
    fall_back: bool = False,
    report: OnSample | None = None,
) -> list[Evaluation]:
    """Evaluates the checkpoint of a run, or of every method of a comparison.

    Args:
      path: a directory that ``masam train`` or ``masam compare`` wrote, or one method's directory
        inside a comparison.
      split: the samples.
      which: parameters after the last step, or best by validation accuracy per seed; by default
        the ones that the run reported.
      inputs: where data are, and how they are read; they are prepared first from its source.
      fall_back: where the last checkpoint is damaged, whether to take the last whole one.
      report: told how far data are that are prepared first.

    Raises:
      RunError: no run, no checkpoint, a damaged one, or data that differ from the run's.
    """
    config = read_config(path)
    if config.get("kind") == "tune":
        raise RunError(f"{path} is a tuning, which keeps no parameters; evaluate a comparison")
    root = run_root(path)
    checked = check_config(path, config)
    experiment = checked.experiment
    if checked.is_comparison:
        places = [path / "methods" / method.slug for method in checked.methods]
        _check_configs(path, config, places)
    else:
        places = [path]
    problem = open_problem(
        root, experiment, make_placement, InputConfig() if inputs is None else inputs, report
    )
    predictors = Predictors(problem)
    rows = problem.indices(split)
    return [
        _evaluate(
            place, problem, rows, predictors, which or experiment.evaluation.report, fall_back
        )
        for place in places
    ]


def _check_configs(path: Path, shared: dict[str, Any], places: list[Path]) -> None:
    """Checks that the methods were trained as their comparison says; checkpoints vouch for them."""
    for place in places:
        own = completed(read_config(place))
        own = {k: v for k, v in own.items() if k not in ("kind", "method")}
        wanted = {name: completed(shared).get(name) for name in own}
        changes = changed_fields(own, wanted)
        # A comparison that is being made longer has not come to all methods yet.
        if changes and added_length(own, wanted) is None:
            raise RunError(
                f"{path}/config.json is damaged: it differs from {place.name}'s"
                f" ({'; '.join(changes)})"
            )


def _evaluate(
    place: Path,
    problem: Problem,
    rows: np.ndarray,
    predictors: Predictors,
    which: Which,
    fall_back: bool,
) -> Evaluation:
    config = read_config(place)
    (method,) = check_config(place, config).methods
    if not (place / "checkpoints").is_dir():
        raise RunError(f"{place} holds no checkpoint: the method has not been trained yet")
    with Checkpoints(place / "checkpoints", config, read_only=True) as checkpoints:
        task = Task(problem, method)
        state, progress = checkpoints.restore(abstract_state(task), fall_back)
    predictions = predictors.of(task)(reported_point(state, which == "best"), rows)
    return Evaluation(
        method=method,
        seeds=problem.experiment.seeds.values,
        step=progress.step,
        rows=rows,
        predictions=predictions,
        metrics=measure(predictions, problem.data.num_classes, problem.metric),
        metric=problem.metric,
        class_names=problem.opened.class_names,
        keys=problem.opened.keys,
    )
