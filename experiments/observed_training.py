"""Training with a transformation of one's own in the place of a method's, step by step."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import optax

from masam_jax.config import DataConfig, Experiment, OptimizationConfig, SeedConfig
from masam_jax.methods import parse_method
from masam_jax.training.course import reported_point
from masam_jax.training.distribution import make_placement
from masam_jax.training.predictions import Predictions, Predictors
from masam_jax.training.problem import Problem, build_problem
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import TrainState, init_state
from masam_jax.training.task import Task


def make_problem(optimization: OptimizationConfig, seeds: int, dataset: str) -> Problem:
    """Data, splits and networks as ``masam train`` has them, on one device.

    Args:
      optimization: the optimizer, its rate and the length of the run.
      seeds: how many, from 0 on.
      dataset: which data.
    """
    experiment = Experiment(
        data=DataConfig(dataset), optimization=optimization, seeds=SeedConfig(seeds)
    )
    return build_problem(
        experiment, lambda count, batch: make_placement(count, batch, jax.devices()[:1])
    )


def make_task(problem: Problem, spec: str, transformation: Any = None) -> Task:
    """A method on a problem.

    Args:
      problem: the problem.
      spec: ``NAME[:OPTION=VALUE,...]``.
      transformation: ``(method's transformation, labels) -> tx`` in the place of what the method
        does before the optimizer, and of the optimizer; None for both as they are.
    """
    task = Task(problem, parse_method(spec))
    if transformation is not None:
        labels = task.network.labels
        method = task.method.transformation(labels, task.context)
        # Before it is first asked for: all that follows takes the task's own.
        task.__dict__["transformation"] = optax.with_extra_args_support(
            transformation(method, labels)
        )
    return task


def train(task: Task) -> Iterator[tuple[int, TrainState]]:
    """``(steps taken, state)`` after every step; a state is gone when the next is asked for."""
    state, advance = init_state(task), SeedStep(task)
    for step, batch in zip(range(task.steps), task.batches.start(0), strict=False):
        state, _ = advance(state, batch, step)
        yield step + 1, state


def accuracy_on_test(task: Task, predictors: Predictors, state: TrainState) -> np.ndarray:
    """Of each seed, ``[S]``.

    Args:
      task: the task.
      predictors: of its problem.
      state: the state.
    """
    point = reported_point(state, best=False)
    found = predictors.of(task)(point, task.problem.indices("test"))
    assert isinstance(found, Predictions)
    return np.asarray(np.mean(found.fused == found.labels, axis=1))
