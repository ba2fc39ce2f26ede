"""A finished or unfinished run, read back: its configuration, parameters and predictions."""

import csv
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from masam_jax.config.errors import RunError, user_errors
from masam_jax.config.experiment import InputConfig, changed_fields, experiment_from_json
from masam_jax.data.statistics import Statistics
from masam_jax.methods import BoundMethod, parse_method
from masam_jax.training.distribution import make_placement
from masam_jax.training.evaluation import Predictions, Predictors, measure
from masam_jax.training.loop import reported_point
from masam_jax.training.problem import Problem, build_problem
from masam_jax.training.state import abstract_state
from masam_jax.training.storage.atomic_files import read_json, write_text
from masam_jax.training.storage.checkpoints import Checkpoints
from masam_jax.training.storage.run_directory import FITTED_FILE, read_config
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
    """

    method: BoundMethod
    seeds: tuple[int, ...]
    step: int
    rows: np.ndarray
    predictions: Predictions
    metrics: dict[str, Any]
    metric: str


def evaluate_run(
    path: Path, split: SplitName, which: Which | None, inputs: InputConfig | None = None
) -> list[Evaluation]:
    """Evaluates the checkpoint of a run, or of every method of a comparison.

    Args:
      path: a directory that ``masam train`` or ``masam compare`` wrote, or one method's directory
        inside a comparison.
      split: the samples.
      which: parameters after the last step, or best by validation accuracy per seed; by default
        the ones that the run reported.
      inputs: where data are, and how they are read.

    Raises:
      RunError: no run, no checkpoint, a damaged one, or data that differ from the run's.
    """
    config = read_config(path)
    if config.get("kind") == "tune":
        raise RunError(f"{path} is a tuning, which keeps no parameters; evaluate a comparison")
    root = run_root(path)
    with user_errors():
        experiment = experiment_from_json(config)
        problem = build_problem(
            experiment,
            make_placement,
            inputs=inputs,
            fitted=read_fitted(root),
            statistics=read_statistics(root),
        )
    if config.get("kind") == "compare":
        places = [path / "methods" / parse_method(spec).slug for spec in config["methods"]]
    else:
        places = [path]
    _check_splits(root, problem)
    predictors = Predictors(problem)
    rows = problem.indices(split)
    return [
        _evaluate(place, problem, rows, predictors, which or experiment.evaluation.report)
        for place in places
    ]


def run_root(path: Path) -> Path:
    """Where splits and statistics are: the run itself, or the comparison that a method is part of.

    Raises:
      RunError: there are none yet.
    """
    root = path.parent.parent if (path.parent.parent / "splits.json").is_file() else path
    if not (root / "splits.json").is_file():
        raise RunError(f"{root} has no splits.json: the run was stopped before it trained")
    return root


def write_predictions(path: Path, evaluations: list[Evaluation]) -> None:
    """Writes one CSV line for each method, seed and sample.

    Columns: ``method, seed, row`` (index into the data set)``, label, prediction, confidence`` and
    one column with each modality's own prediction. A sample with several labels has all of them in
    a cell, with bars between them, and the probability of each as its confidence.

    Raises:
      OSError: the file cannot be written.
    """
    modalities = sorted(evaluations[0].predictions.unimodal)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["method", "seed", "row", "label", "prediction", "confidence", *modalities])
    for evaluation in evaluations:
        writer.writerows(_prediction_lines(evaluation, modalities))
    write_text(path, stream.getvalue())


def _prediction_lines(evaluation: Evaluation, modalities: list[str]) -> Iterator[list[Any]]:
    found = evaluation.predictions
    several = found.labels.ndim == found.probabilities.ndim
    confidence = found.probabilities if several else found.probabilities.max(axis=-1)
    fused, unimodal = found.fused, {m: found.decide(p) for m, p in found.unimodal.items()}
    for index, seed in enumerate(evaluation.seeds):
        for position, row in enumerate(evaluation.rows[index]):
            at = (index, position)
            yield [
                evaluation.method.spec,
                seed,
                int(row),
                _cell(found.labels[at]),
                _cell(fused[at]),
                _cell(confidence[at]),
                *(_cell(unimodal[m][at]) for m in modalities),
            ]


def _cell(value: np.ndarray) -> str:
    """One number, or those of several labels with bars between them."""
    form = "{:.6f}" if np.issubdtype(value.dtype, np.floating) else "{}"
    return "|".join(form.format(item) for item in np.atleast_1d(value))


def _evaluate(
    place: Path, problem: Problem, rows: np.ndarray, predictors: Predictors, which: Which
) -> Evaluation:
    config = read_config(place)
    with user_errors():
        method = parse_method(config["method"])
    if not (place / "checkpoints").is_dir():
        raise RunError(f"{place} holds no checkpoint: the method has not been trained yet")
    with Checkpoints(place / "checkpoints", config, read_only=True) as checkpoints:
        task = Task(problem, method)
        state, progress = checkpoints.restore(abstract_state(task))
    predictions = predictors.of(task)(reported_point(state, which == "best"), rows)
    return Evaluation(
        method=method,
        seeds=problem.experiment.seeds.values,
        step=progress.step,
        rows=rows,
        predictions=predictions,
        metrics=measure(predictions, problem.data.num_classes, problem.metric),
        metric=problem.metric,
    )


def _check_splits(root: Path, problem: Problem) -> None:
    changes = changed_fields(
        read_json(root / "splits.json")["seeds"], problem.describe_splits()["seeds"]
    )
    if changes:
        raise RunError(
            f"{root}/splits.json: the data are split otherwise now, for the seeds"
            f" {', '.join(change.split(':')[0] for change in changes)}; evaluation needs the data"
            " that the run was trained on"
        )


def read_fitted(root: Path) -> Any:
    """What decoding needs to know of the training samples, as the run found it; None for nothing.

    Raises:
      RunError: the file is damaged.
    """
    path = root / FITTED_FILE
    return read_json(path).get("fitted") if path.is_file() else None


def read_statistics(root: Path) -> Statistics:
    """``{m: (mean [S, D], std [S, D])}`` of each seed's training samples, as the run found them.

    Raises:
      RunError: the file is damaged or missing.
    """
    path = root / "statistics.npz"
    try:
        with np.load(path) as file:
            modalities = [key.removeprefix("mean/") for key in file if key.startswith("mean/")]
            return {m: (file[f"mean/{m}"], file[f"std/{m}"]) for m in modalities}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is damaged or missing: {error}") from error
