"""The state of a run: everything a checkpoint holds, with a leading axis of seeds everywhere."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from masam_jax.methods import BoundMethod
from masam_jax.training.dominance import count_dominance
from masam_jax.training.problem import Problem

# The stream of a seed's key that a method draws from; initial parameters have stream 0.
_METHOD = 1


class TrainState(NamedTuple):
    """Parameters, optimizer, and the course of early stopping; every leaf is ``[S, ...]``.

    Attributes:
      params: parameters after the last step.
      opt_state: the optimizer's state.
      best_params: parameters with the best validation accuracy so far.
      best_accuracy: float32[S], that accuracy; -1 before the first evaluation.
      best_step: int32[S], the step it was reached at.
      accuracy: float32[S], validation accuracy at the last evaluation; -1 before the first.
      stale: int32[S], evaluations since the best one.
      stopped: bool[S], seeds whose patience ran out.
    """

    params: Any
    opt_state: Any
    best_params: Any
    best_accuracy: jax.Array
    best_step: jax.Array
    accuracy: jax.Array
    stale: jax.Array
    stopped: jax.Array


def make_transformation(
    problem: Problem, method: BoundMethod, key: jax.Array
) -> optax.GradientTransformationExtraArgs:
    """The method's transformation before AdamW, with its dominance counted.

    Args:
      problem: names the modalities, labels the parameters and configures AdamW.
      method: the method.
      key: uint32[2] PRNG key of one seed; read by ``init`` alone.

    Raises:
      ValueError: the method's options do not fit the modalities.
    """
    config = problem.experiment.optimization
    chain = optax.chain(
        method.transformation(problem.network.labels, key),
        optax.adamw(config.learning_rate, weight_decay=config.weight_decay),
    )
    return count_dominance(optax.with_extra_args_support(chain), problem.modalities)


def init_state(problem: Problem, method: BoundMethod) -> TrainState:
    """The state before the first step; the same parameters for every method.

    Raises:
      ValueError: the method's options do not fit the modalities.
    """
    init = jax.jit(jax.vmap(_initializer(problem, method)), out_shardings=problem.placement.seeds)
    return init(problem.initial_params, problem.seed_keys)


def abstract_state(problem: Problem, method: BoundMethod) -> TrainState:
    """Shapes, dtypes and shardings of the state, without computing anything.

    Raises:
      ValueError: as ``init_state``.
    """
    keys = problem.seed_keys

    def init(keys: jax.Array) -> TrainState:
        params = jax.vmap(problem.init_params)(keys)
        return jax.vmap(_initializer(problem, method))(params, keys)

    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=problem.placement.seeds),
        jax.eval_shape(init, keys),
    )


def _initializer(problem: Problem, method: BoundMethod) -> Callable[[Any, jax.Array], TrainState]:
    def init_one(params: Any, key: jax.Array) -> TrainState:
        tx = make_transformation(problem, method, jax.random.fold_in(key, _METHOD))
        return TrainState(
            params=jax.tree.map(jnp.copy, params),
            opt_state=tx.init(params),
            best_params=jax.tree.map(jnp.copy, params),
            best_accuracy=jnp.float32(-1),
            best_step=jnp.int32(0),
            accuracy=jnp.float32(-1),
            stale=jnp.int32(0),
            stopped=jnp.bool(False),
        )

    return init_one


def record_evaluation(
    problem: Problem, state: TrainState, accuracy: np.ndarray, step: int
) -> TrainState:
    """The state after an evaluation; seeds that have stopped stay as they are.

    Args:
      problem: says where arrays live, and the patience.
      state: the state.
      accuracy: ``[S]``, validation accuracy.
      step: steps done.
    """
    placed = problem.placement.put(accuracy.astype(np.float32), problem.placement.seeds)
    # The optimizer's state stays outside: one program then serves every method.
    recorded = _record(
        state._replace(opt_state=None),
        placed,
        jnp.int32(step),
        patience=problem.experiment.evaluation.patience,
    )
    return recorded._replace(params=state.params, opt_state=state.opt_state)


@functools.partial(jax.jit, static_argnames="patience")
def _record(
    state: TrainState, accuracy: jax.Array, step: jax.Array, patience: int | None
) -> TrainState:
    improved = (accuracy > state.best_accuracy) & ~state.stopped

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(improved.reshape(improved.shape + (1,) * (new.ndim - 1)), new, old)

    stale = jnp.where(improved, 0, state.stale + jnp.int32(1))
    return state._replace(
        best_params=jax.tree.map(choose, state.params, state.best_params),
        best_accuracy=jnp.where(improved, accuracy, state.best_accuracy),
        best_step=jnp.where(improved, step, state.best_step),
        accuracy=accuracy,
        stale=jnp.where(state.stopped, state.stale, stale),
        stopped=state.stopped if patience is None else state.stopped | (stale >= patience),
    )
