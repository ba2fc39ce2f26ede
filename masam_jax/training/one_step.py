"""A training step of one seed: losses and gradients, the optimizer's update, what moves beside."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from masam_jax.core.refresh import Refresh
from masam_jax.training.batches import network_inputs, step_key
from masam_jax.training.parameter_average import move_average
from masam_jax.training.task import StepInputs, Task


class Moving(NamedTuple):
    """What a step moves, of one seed or of all."""

    params: Any
    opt_state: Any
    statistics: Any
    average: Any
    method_state: Any


class Given(NamedTuple):
    """What a step is given beside it, of one seed or of all; ``resident`` is shared by all.

    ``class_weights`` is None where all classes weigh the same. Of a stretch of steps, ``batch`` and
    ``step`` are what `masam_jax.training.stretches.repeated` takes.
    """

    batch: Any
    scales: Any
    seed_key: Any
    step: Any
    stopped: Any
    resident: Any
    class_weights: Any = None


class Logged(NamedTuple):
    """What is logged of a batch beside its losses.

    Attributes:
      accuracy: the batch's, ``[S]``; None of regression.
      gradient_norms: see `Observed.gradient_norms`.
    """

    accuracy: Any
    gradient_norms: dict[str, dict[str, Any]]


Advance = Callable[[Moving, Given, Refresh | None], tuple[Moving, Any]]
"""``(moving, given, refresh) -> (moving, losses)``; ``refresh`` is static."""


def one_step(task: Task) -> Advance:
    """The step of a method, of one seed; ``losses.aux`` is a `Logged`.

    Where the placement has a `batch_axis`, it is to run under ``pmap`` over that axis, on a part of
    the batch.
    """
    axis_name = task.problem.placement.batch_axis
    tx = task.transformation
    freezes = task.problem.experiment.evaluation.patience is not None
    average = averaging(task)
    phases = {phase: task.value_and_grad(phase, axis_name=axis_name) for phase in task.phases}

    def one(before: Moving, given: Given, refresh: Refresh | None) -> tuple[Moving, Any]:
        measured = {} if refresh is None else {"refresh": refresh}
        step = as_step(task, before, given)
        params, opt_state, statistics, losses = before.params, before.opt_state, {}, {}
        for phase, value_and_grad in phases.items():
            losses[phase], grads, signals = value_and_grad(params, step)
            static: dict[str, Any] = {} if phase is None else {"phase": phase}
            static |= measured
            updates, opt_state = tx.update(grads, opt_state, params, **signals, **static)
            params = optax.apply_updates(params, updates)
            # A phase moves the statistics of its own encoder.
            statistics = losses[phase].aux.statistics
            step = step._replace(statistics=statistics)
        observed = {phase: each.aux.by_objective for phase, each in losses.items()}
        state = task.objective.advance(before.method_state, observed.get(None, observed))
        averaged = average(before.average, params, statistics)
        after = Moving(params, opt_state, statistics, averaged, state)
        if freezes:
            after = jax.tree.map(lambda new, old: jnp.where(given.stopped, old, new), after, before)
        return after, step_record(losses)

    return one


def as_step(task: Task, moving: Moving, given: Given) -> StepInputs:
    """What the step of one seed is given, its batch standardised and corrupted."""
    key = step_key(given.seed_key, given.step)
    batch = network_inputs(
        task.problem.experiment.corruption, "train", given.resident, given.scales, given.batch, key
    )
    return StepInputs(batch, moving.statistics, key, moving.method_state, given.class_weights)


def averaging(task: Task) -> Callable[[Any, Any, Any], Any]:
    """``(average, params, statistics) -> average`` after a step; of None, None."""
    decay = task.problem.experiment.optimization.ema
    if decay is None:
        return lambda average, params, statistics: average
    return functools.partial(move_average, decay=decay)


def step_record(losses: dict[str | None, Any]) -> Any:
    """One record of a step's updates, by phase, with a `Logged` as ``aux``.

    Of updates by modality: the sum of what was minimised, and means of loss and accuracy.
    """
    each = list(losses.values())
    if len(each) == 1:
        observed = each[0].aux
        return each[0]._replace(aux=Logged(observed.accuracy, observed.gradient_norms))
    norms: dict[str, dict[str, jax.Array]] = {}
    for one in each:
        for name, found in one.aux.gradient_norms.items():
            norms[name] = norms.get(name, {}) | found
    return each[0]._replace(
        total=sum(one.total for one in each),
        fusion=sum(one.fusion for one in each) / len(each),
        unimodal={m: loss for one in each for m, loss in one.unimodal.items()},
        aux=Logged(sum(one.aux.accuracy for one in each) / len(each), norms),
    )
