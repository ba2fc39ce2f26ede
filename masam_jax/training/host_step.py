"""The step of one seed alone, whose branch the host may choose."""

from typing import Any

import jax
import optax

from masam_jax.core.refresh import Refresh
from masam_jax.training.one_step import Advance, Given, Moving, as_step, averaging, step_record
from masam_jax.training.over_seeds import first, first_given, with_axis
from masam_jax.training.task import Task
from masam_jax.training.train_step import make_train_step


def host_step(task: Task) -> Advance:
    """Through ``make_train_step``; the axis of seeds is taken off inside its compiled functions."""
    problem, tx, value_and_grad = task.problem, task.transformation, task.value_and_grad()

    def placed(tree: Any) -> Any:
        return jax.lax.with_sharding_constraint(with_axis(tree), problem.placement.seeds)

    def value_and_grad_of_first(
        params: Any, statistics: Any, method_state: Any, given: Given
    ) -> Any:
        moving = Moving(first(params), None, first(statistics), None, first(method_state))
        step = as_step(task, moving, first_given(given))
        losses, grads, signals = value_and_grad(moving.params, step)
        return placed(losses), grads, signals

    def update_first(
        updates: Any, state: Any, params: Any = None, **signals: Any
    ) -> tuple[Any, Any]:
        updates, state = tx.update(updates, first(state), first(params), **signals)
        return placed(updates), placed(state)

    step = make_train_step(
        value_and_grad_of_first, optax.GradientTransformationExtraArgs(tx.init, update_first)
    )
    revise = jax.jit(jax.vmap(task.objective.advance))
    average = jax.jit(averaging(task), donate_argnums=0)

    def advance(moving: Moving, given: Given, refresh: Refresh | None) -> tuple[Moving, Any]:
        # Whether the seed has stopped does not matter: the loop ends when the only one does.
        params, opt_state, losses = step(
            moving.params,
            moving.opt_state,
            moving.statistics,
            moving.method_state,
            given,
            refresh=refresh,
        )
        state = moving.method_state
        if jax.tree.leaves(state):
            state = revise(state, losses.aux.by_objective)
        averaged, statistics = moving.average, losses.aux.statistics
        if averaged is not None:
            averaged = average(averaged, params, statistics)
        moved = Moving(params, opt_state, statistics, averaged, state)
        return moved, step_record({None: losses})

    return advance
