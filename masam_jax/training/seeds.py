"""The training step of all seeds at once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from masam_jax.methods import BoundMethod
from masam_jax.training.problem import Problem
from masam_jax.training.state import make_transformation
from masam_jax.training.step import make_train_step

SeedStep = Callable[[Any, Any, jax.Array, jax.Array], tuple[Any, Any, Any]]


def make_seed_step(problem: Problem, method: BoundMethod) -> SeedStep:
    """A compiled ``(params, opt_state, stopped, indices) -> (params, opt_state, losses)``.

    Every argument has a leading axis of seeds; ``indices`` is int32 ``[S, B]``. Several seeds share
    one program under ``vmap``; one seed alone goes through ``make_train_step`` without it, which on
    CPU lets the host choose the branch. Seeds with ``stopped`` keep parameters and optimizer state.
    ``params`` and ``opt_state`` are donated.
    """
    # A transformation draws from its key in `init` alone, which the state has behind it.
    tx = make_transformation(problem, method, jax.random.PRNGKey(0))
    value_and_grad = problem.value_and_grad(method.loss_weight)
    if len(problem.experiment.seeds.values) == 1:
        return _one_seed(problem, method, value_and_grad, tx)
    return _several_seeds(problem, value_and_grad, tx)


def _several_seeds(
    problem: Problem, value_and_grad: Callable[..., Any], tx: optax.GradientTransformationExtraArgs
) -> SeedStep:
    freezes = problem.experiment.evaluation.patience is not None

    def one(
        params: Any, opt_state: Any, stopped: jax.Array, statistics: Any, indices: Any, rows: Any
    ) -> tuple[Any, Any, Any]:
        losses, grads, signals = value_and_grad(params, rows, statistics, indices)
        updates, new_state = tx.update(grads, opt_state, params, **signals)
        new_params = optax.apply_updates(params, updates)
        if freezes:
            new_params, new_state = jax.tree.map(
                lambda new, old: jnp.where(stopped, old, new),
                (new_params, new_state),
                (params, opt_state),
            )
        return new_params, new_state, losses

    by_seed = problem.placement.seeds
    step = jax.jit(
        jax.vmap(one, in_axes=(0, 0, 0, 0, 0, None)),
        donate_argnums=(0, 1),
        out_shardings=(by_seed, by_seed, by_seed),
    )

    def seed_step(
        params: Any, opt_state: Any, stopped: jax.Array, indices: jax.Array
    ) -> tuple[Any, Any, Any]:
        return step(params, opt_state, stopped, problem.statistics, indices, problem.rows)

    return seed_step


def _one_seed(
    problem: Problem,
    method: BoundMethod,
    value_and_grad: Callable[..., Any],
    tx: optax.GradientTransformationExtraArgs,
) -> SeedStep:
    """One seed without ``vmap``: its axis is taken off inside the compiled functions."""

    def first(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf[0], tree)

    def with_axis(tree: Any) -> Any:
        expanded = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], tree)
        return jax.lax.with_sharding_constraint(expanded, problem.placement.seeds)

    def value_and_grad_of_first(params: Any, rows: Any, statistics: Any, indices: Any) -> Any:
        losses, grads, signals = value_and_grad(
            first(params), rows, first(statistics), first(indices)
        )
        return with_axis(losses), grads, signals

    def update_first(
        updates: Any, state: Any, params: Any = None, **signals: Any
    ) -> tuple[Any, Any]:
        updates, state = tx.update(updates, first(state), first(params), **signals)
        return with_axis(updates), with_axis(state)

    step = make_train_step(
        value_and_grad_of_first,
        optax.GradientTransformationExtraArgs(tx.init, update_first),
        dispatch="auto" if method.host_dispatch else "jit",
    )

    def seed_step(
        params: Any, opt_state: Any, stopped: jax.Array, indices: jax.Array
    ) -> tuple[Any, Any, Any]:
        del stopped  # The loop ends when the only seed stops.
        return step(params, opt_state, problem.rows, problem.statistics, indices)

    return seed_step
