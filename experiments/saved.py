"""What a finished run is asked afterwards: at other test conditions, encoder by encoder."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from experiments.paper import FinishedRun
from masam_jax.config import InputConfig
from masam_jax.training.distribution import Placement, make_placement
from masam_jax.training.predictions import Point, Predictors, measure
from masam_jax.training.problem import Problem
from masam_jax.training.saved_model import open_model
from masam_jax.training.saved_problem import open_problem
from masam_jax.training.storage.atomic_files import plain, read_json, write_json
from masam_jax.training.task import Task


def measured(run: FinishedRun, name: str, compute: Callable[[], Mapping[str, Any]]) -> Any:
    """What was measured of a run before, else what is measured now, as JSON has it.

    Args:
      run: the run; the numbers are kept in its directory.
      name: of the measurement, which says all that it depends on beside the run.
      compute: measures.
    """
    path = run.record.path / "measured" / f"{name}.json"
    if not path.is_file():
        found = plain(compute())
        path.parent.mkdir(exist_ok=True)
        write_json(path, found)
    return read_json(path)


def opened(run: FinishedRun, **corruption: Any) -> Problem:
    """A run's data, splits and networks, on the first device.

    Args:
      run: the run.
      **corruption: fields of `CorruptionConfig` in the place of the run's own.
    """
    experiment = open_model(run.record.path, _spec(run, next(iter(run.planned.methods)))).experiment
    changed = dataclasses.replace(experiment.corruption, **corruption)
    return open_problem(
        run.record.path,
        dataclasses.replace(experiment, corruption=changed),
        _first_device,
        InputConfig(),
    )


def point_of(run: FinishedRun, name: str) -> Point:
    """The parameters of a method that its results are of, ``[S, ...]``.

    Args:
      run: the run.
      name: the method's, in its plan.
    """
    model = open_model(run.record.path, _spec(run, name))
    return model.point(model.experiment.evaluation.report == "best")


def scores_under(
    run: FinishedRun, names: Sequence[str], conditions: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, list[float]]]:
    """Test scores of trained methods where the test samples are changed.

    Args:
      run: the run.
      names: methods, as in its plan.
      conditions: what a condition is called -> fields of `CorruptionConfig`.

    Returns:
      ``{condition: {method: [S]}}``, fractions in the data set's own metric.
    """
    points = {name: point_of(run, name) for name in names}
    methods = {name: open_model(run.record.path, _spec(run, name)).method for name in names}
    found: dict[str, dict[str, list[float]]] = {}
    for condition, corruption in conditions.items():
        problem = opened(run, **corruption)
        predictors, rows = Predictors(problem), problem.indices("test")
        found[condition] = {}
        for name in names:
            predictions = predictors.of(Task(problem, methods[name]))(points[name], rows)
            scores = measure(predictions, problem.data.num_classes, problem.metric)
            found[condition][name] = np.asarray(scores[problem.metric]).tolist()
    return found


def _spec(run: FinishedRun, name: str) -> str:
    return str(run.method(name).result["spec"])


def _first_device(seeds: int, batch_size: int) -> Placement:
    return make_placement(seeds, batch_size, jax.local_devices()[:1])
