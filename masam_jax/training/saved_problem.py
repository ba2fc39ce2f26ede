"""The data of a saved run, opened as it was trained on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from masam_jax.config import Experiment, InputConfig
from masam_jax.config.errors import user_errors
from masam_jax.data.builders.build_job import OnSample
from masam_jax.training.distribution import Placement
from masam_jax.training.open_data import open_data, prepare_if_needed
from masam_jax.training.problem import Problem, build_problem
from masam_jax.training.storage.surroundings import (
    check_data,
    check_splits,
    read_fitted,
    read_statistics,
)


def open_problem(
    root: Path,
    experiment: Experiment,
    make_placement: Callable[[int, int], Placement],
    inputs: InputConfig,
    report: OnSample | None = None,
) -> Problem:
    """Data, splits and networks of a run, found to be those that it was trained with.

    Args:
      root: see `masam_jax.training.storage.surroundings.run_root`.
      experiment: the run's configuration.
      make_placement: ``(number of seeds, batch size) -> Placement``.
      inputs: where data are, and how they are read; they are prepared first from its source.
      report: told how far data are that are prepared first.

    Raises:
      RunError: the data are not there, or differ from the run's.
    """
    with user_errors():
        prepare_if_needed(experiment.data.dataset, inputs, report)
        data = open_data(experiment.data.dataset, inputs)
        check_data(root, data.digest())
        problem = build_problem(
            experiment,
            make_placement,
            data=data,
            inputs=inputs,
            fitted=read_fitted(root),
            statistics=read_statistics(root),
        )
    check_splits(root, problem.describe_splits()["seeds"])
    return problem
