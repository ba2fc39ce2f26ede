"""The state of a run: all arrays of a checkpoint, with a leading axis of seeds everywhere."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.core.random_keys import fold_raw, with_key
from masam_jax.training import key_streams
from masam_jax.training.parameter_average import Average
from masam_jax.training.parameter_layout import shardings
from masam_jax.training.problem import Problem
from masam_jax.training.task import Task


class TrainState(NamedTuple):
    """Parameters, optimizer, and the course of early stopping; every leaf is ``[S, ...]``.

    Attributes:
      params: parameters after the last step.
      statistics: running statistics ``{m: …}`` of the encoders, of clean passes alone.
      opt_state: the optimizer's state.
      average: the moving average that predicts in place of both; None where none is asked for.
      method_state: what the method's objective keeps beside parameters.
      best_params: parameters with the best validation score so far.
      best_statistics: the running statistics at that time.
      best_method_state: what the objective kept at that time.
      best_score: float32[S], that score; before the first evaluation -1, of regression -inf.
      best_step: int32[S], the step it was reached at.
      score: float32[S], validation score at the last evaluation; before the first likewise.
      stale: int32[S], evaluations since the best one.
      stopped: bool[S], seeds whose patience ran out.
    """

    params: Any
    statistics: Any
    opt_state: Any
    average: Average | None
    method_state: Any
    best_params: Any
    best_statistics: Any
    best_method_state: Any
    best_score: jax.Array
    best_step: jax.Array
    score: jax.Array
    stale: jax.Array
    stopped: jax.Array


def init_state(task: Task) -> TrainState:
    """The state before the first step; the network's parameters are those of every method.

    Raises:
      ValueError: the method's options do not fit the modalities.
    """
    problem = task.problem
    init = jax.jit(jax.vmap(_initializer(task)), out_shardings=state_shardings(task))
    return init(*problem.initial(task.fusion), problem.seed_keys)


def abstract_state(task: Task) -> TrainState:
    """Shapes, dtypes and shardings of the state, without computing anything.

    Raises:
      ValueError: as ``init_state``.
    """
    shapes = _shapes(task)
    return jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        shapes,
        shardings(task.problem.placement, shapes.params, shapes),
    )


def state_shardings(task: Task) -> Any:
    """The sharding of every leaf of the state; one for all of them, where no parameter is split.

    Raises:
      ValueError: as ``init_state``; or the parameters cannot be split as was asked.
    """
    placement = task.problem.placement
    if not placement.splits_parameters:
        return placement.seeds
    shapes = _shapes(task)
    return shardings(placement, shapes.params, shapes)


def _shapes(task: Task) -> TrainState:
    problem = task.problem

    def init(keys: jax.Array) -> TrainState:
        params = jax.vmap(lambda key: problem.init_params(key, task.fusion))(keys)
        statistics = jax.tree.map(
            lambda x: jnp.broadcast_to(x, (len(keys), *x.shape)), task.network.init_statistics()
        )
        return jax.vmap(_initializer(task))(params, statistics, keys)

    shapes: TrainState = jax.eval_shape(init, problem.seed_keys)
    return shapes


def _initializer(task: Task) -> Callable[[Any, Any, jax.Array], TrainState]:
    # R² has no lowest value.
    lowest = -jnp.inf if task.problem.data.is_regression else -1

    def init_one(params: Any, statistics: Any, key: jax.Array) -> TrainState:
        params = task.extend(params, key)
        method_state = task.init_state(params)
        method_key = fold_raw(key, key_streams.METHOD)
        average = None
        if task.problem.experiment.optimization.ema is not None:
            average = jax.tree.map(jnp.copy, Average(params, statistics))
        return TrainState(
            params=jax.tree.map(jnp.copy, params),
            statistics=jax.tree.map(jnp.copy, statistics),
            opt_state=with_key(task.transformation.init(params), method_key),
            average=average,
            method_state=jax.tree.map(jnp.copy, method_state),
            best_params=jax.tree.map(jnp.copy, params),
            best_statistics=jax.tree.map(jnp.copy, statistics),
            best_method_state=jax.tree.map(jnp.copy, method_state),
            best_score=jnp.float32(lowest),
            best_step=jnp.int32(0),
            score=jnp.float32(lowest),
            stale=jnp.int32(0),
            stopped=jnp.bool(False),
        )

    return init_one


def keep_stopped(state: TrainState, method_state: Any) -> TrainState:
    """The state with another ``method_state``, but for seeds that have stopped."""

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        stopped = state.stopped.reshape(state.stopped.shape + (1,) * (new.ndim - 1))
        return jnp.where(stopped, old, new)

    return state._replace(method_state=jax.tree.map(choose, method_state, state.method_state))


def record_evaluation(
    problem: Problem, state: TrainState, score: np.ndarray, step: int, least: int = 0
) -> TrainState:
    """The state after an evaluation; seeds that have stopped stay as they are.

    Args:
      problem: says where arrays live, and the patience.
      state: the state.
      score: ``[S]``, validation score; a seed whose score is NaN has not become better.
      step: steps done.
      least: steps before which no seed stops.
    """
    placement = problem.placement
    placed = placement.put(score.astype(np.float32), placement.seeds)
    predicting = state if state.average is None else state.average
    # The optimizer's state stays outside: one program then serves every method.
    recorded = _record(
        state._replace(
            params=predicting.params,
            statistics=predicting.statistics,
            opt_state=None,
            average=None,
        ),
        placed,
        placement.put(np.int32(step), placement.replicated),
        patience=problem.experiment.evaluation.patience,
        may_stop=step >= least,
    )
    kept = ("params", "statistics", "opt_state", "average")
    return recorded._replace(**{name: getattr(state, name) for name in kept})


@functools.partial(jax.jit, static_argnames=("patience", "may_stop"))
def _record(
    state: TrainState, score: jax.Array, step: jax.Array, patience: int | None, may_stop: bool
) -> TrainState:
    improved = (score > state.best_score) & ~state.stopped

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(improved.reshape(improved.shape + (1,) * (new.ndim - 1)), new, old)

    stale = jnp.where(improved, 0, state.stale + jnp.int32(1))
    return state._replace(
        best_params=jax.tree.map(choose, state.params, state.best_params),
        best_statistics=jax.tree.map(choose, state.statistics, state.best_statistics),
        best_method_state=jax.tree.map(choose, state.method_state, state.best_method_state),
        best_score=jnp.where(improved, score, state.best_score),
        best_step=jnp.where(improved, step, state.best_step),
        score=score,
        stale=jnp.where(state.stopped, state.stale, stale),
        stopped=state.stopped
        if patience is None or not may_stop
        else state.stopped | (stale >= patience),
    )
