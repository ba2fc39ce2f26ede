"""The training step of all seeds at once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from masam_jax.training.state import TrainState, make_transformation
from masam_jax.training.step import make_train_step
from masam_jax.training.task import Task

Advance = Callable[[Any, Any, Any, jax.Array, jax.Array], tuple[Any, Any, Any, Any]]


class SeedStep:
    """One training step of every seed, compiled.

    Several seeds share one program under ``vmap``. One seed alone, updated in one piece, goes
    through ``make_train_step`` without it, which on CPU lets the host choose the branch.
    """

    def __init__(self, task: Task, *, on_host: bool = True) -> None:
        """Of one method.

        Args:
          task: the method and its problem.
          on_host: whether the host may choose the branch, where that is faster.
        """
        # A transformation draws from its key in `init` alone, which the state has behind it.
        tx = make_transformation(task, jax.random.PRNGKey(0))
        alone = len(task.problem.experiment.seeds.values) == 1
        self._compiled = _Compiled(task, tx)
        self._advance: Advance = self._compiled
        if on_host and alone and task.phases == (None,) and task.method.host_dispatch:
            self._advance = _one_seed(task, tx)

    @property
    def flops(self) -> float | None:
        """XLA's estimate for one call, on one device; None where there is none."""
        program = self.program
        return None if program is None else (program.cost_analysis() or {}).get("flops")

    @property
    def program(self) -> jax.stages.Compiled | None:
        """The one program of the step; None before the first call, and on the host."""
        return self._compiled.program

    def __call__(self, state: TrainState, indices: jax.Array) -> tuple[TrainState, Any]:
        """``(state, losses)`` after the batch of rows ``indices``, int32 ``[S, B]``.

        ``losses.aux`` is the batch's accuracy. Seeds that have stopped stay as they are.
        ``params`` and ``opt_state`` are donated.
        """
        params, opt_state, method_state, losses = self._advance(
            state.params, state.opt_state, state.method_state, state.stopped, indices
        )
        moved = state._replace(params=params, opt_state=opt_state, method_state=method_state)
        return moved, losses


class _Compiled:
    """The step in one program, compiled at the first call."""

    def __init__(self, task: Task, tx: optax.GradientTransformationExtraArgs) -> None:
        by_seed = task.problem.placement.seeds
        self._problem = task.problem
        self._step = jax.jit(
            jax.vmap(_one_step(task, tx), in_axes=(0, 0, 0, 0, 0, 0, None)),
            donate_argnums=(0, 1),
            out_shardings=by_seed,
        )
        self.program: jax.stages.Compiled | None = None

    def __call__(
        self, params: Any, opt_state: Any, state: Any, stopped: jax.Array, indices: jax.Array
    ) -> tuple[Any, Any, Any, Any]:
        problem = self._problem
        operands = (params, opt_state, state, stopped, problem.statistics, indices, problem.rows)
        if self.program is None:
            self.program = self._step.lower(*operands).compile()
        return self.program(*operands)


def _one_step(task: Task, tx: optax.GradientTransformationExtraArgs) -> Callable[..., Any]:
    freezes = task.problem.experiment.evaluation.patience is not None
    phases = {phase: task.value_and_grad(phase) for phase in task.phases}

    def one(
        params: Any,
        opt_state: Any,
        state: Any,
        stopped: jax.Array,
        statistics: Any,
        indices: jax.Array,
        rows: Any,
    ) -> tuple[Any, Any, Any, Any]:
        new_params, new_opt_state, losses = params, opt_state, {}
        for phase, value_and_grad in phases.items():
            losses[phase], grads, signals = value_and_grad(
                new_params, rows, statistics, indices, state
            )
            static = {} if phase is None else {"phase": phase}
            updates, new_opt_state = tx.update(
                grads, new_opt_state, new_params, **signals, **static
            )
            new_params = optax.apply_updates(new_params, updates)
        observed = {phase: each.aux.by_objective for phase, each in losses.items()}
        new_state = task.objective.advance(state, observed.get(None, observed))
        if freezes:
            new_params, new_opt_state, new_state = jax.tree.map(
                lambda new, old: jnp.where(stopped, old, new),
                (new_params, new_opt_state, new_state),
                (params, opt_state, state),
            )
        return new_params, new_opt_state, new_state, _summarize(losses)

    return one


def _summarize(losses: dict[str | None, Any]) -> Any:
    """One record of a step's updates, with the accuracy alone as ``aux``.

    Of updates by modality: the sum of what was minimised, and means of loss and accuracy.
    """
    each = list(losses.values())
    return each[0]._replace(
        total=sum(one.total for one in each),
        fusion=sum(one.fusion for one in each) / len(each),
        unimodal={m: loss for one in each for m, loss in one.unimodal.items()},
        aux=sum(one.aux.accuracy for one in each) / len(each),
    )


def _one_seed(task: Task, tx: optax.GradientTransformationExtraArgs) -> Advance:
    """One seed without ``vmap``: its axis is taken off inside the compiled functions."""
    problem, value_and_grad = task.problem, task.value_and_grad()

    def first(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf[0], tree)

    def with_axis(tree: Any) -> Any:
        expanded = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], tree)
        return jax.lax.with_sharding_constraint(expanded, problem.placement.seeds)

    def value_and_grad_of_first(
        params: Any, rows: Any, statistics: Any, indices: Any, state: Any
    ) -> Any:
        losses, grads, signals = value_and_grad(
            first(params), rows, first(statistics), first(indices), first(state)
        )
        return with_axis(losses), grads, signals

    def update_first(
        updates: Any, state: Any, params: Any = None, **signals: Any
    ) -> tuple[Any, Any]:
        updates, state = tx.update(updates, first(state), first(params), **signals)
        return with_axis(updates), with_axis(state)

    step = make_train_step(
        value_and_grad_of_first, optax.GradientTransformationExtraArgs(tx.init, update_first)
    )
    advance = jax.jit(jax.vmap(task.objective.advance))

    def seed_step(
        params: Any, opt_state: Any, state: Any, stopped: jax.Array, indices: jax.Array
    ) -> tuple[Any, Any, Any, Any]:
        del stopped  # The loop ends when the only seed stops.
        params, opt_state, losses = step(
            params, opt_state, problem.rows, problem.statistics, indices, state
        )
        if jax.tree.leaves(state):
            state = advance(state, losses.aux.by_objective)
        return params, opt_state, state, _summarize({None: losses})

    return seed_step
