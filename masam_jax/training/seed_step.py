"""The training step of all seeds at once."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from masam_jax.data.batch import Batch
from masam_jax.training.batches import Stretch, network_inputs, step_key
from masam_jax.training.parameter_average import move_average
from masam_jax.training.state import TrainState
from masam_jax.training.stretches import longest, repeated
from masam_jax.training.task import StepInputs, Task
from masam_jax.training.train_step import make_train_step


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


_AXES = Given(0, 0, 0, None, 0, None, 0)
Advance = Callable[[Moving, Given], tuple[Moving, Any]]


class SeedStep:
    """One training step of every seed, or a stretch of such steps, compiled.

    Several seeds share one program under ``vmap``. One seed alone, updated in one piece, needs none
    where it chooses a modality: its step keeps its branches, or goes through ``make_train_step``,
    which on CPU lets the host choose.
    """

    def __init__(self, task: Task, *, on_host: bool = True, stretched: bool = False) -> None:
        """Of one method.

        Args:
          task: the method and its problem.
          on_host: whether the host may choose the branch, where that is faster.
          stretched: whether the program is of stretches; else it is of single steps.
        """
        alone = len(task.problem.experiment.seeds.values) == 1
        branches = alone and task.phases == (None,) and task.method.host_dispatch
        self._problem = task.problem
        self._stretched = stretched
        self._compiled = _Compiled(task, branches and stretched, stretched)
        self._advance: Advance = self._compiled
        if on_host and branches and not stretched:
            self._advance = _one_seed(task)

    @property
    def flops(self) -> float | None:
        """XLA's estimate for one step, on one device; None where there is none."""
        program = self.program
        return None if program is None else (program.cost_analysis() or {}).get("flops")

    @property
    def program(self) -> jax.stages.Compiled | None:
        """The one program of the step; None before the first call, and on the host."""
        return self._compiled.program

    @property
    def longest(self) -> int:
        """Steps of the longest stretch that one call should take; 1 before the first call."""
        if not self._stretched:
            return 1
        return longest(self.program, self._problem.placement.mesh.devices.flat[0].platform)

    def stretch(self, state: TrainState, stretch: Stretch) -> tuple[TrainState, Any]:
        """``(state, losses)`` after a stretch; the losses are those of its last step.

        Args:
          state: the state, donated as below.
          stretch: of one step, where the program is of single steps.
        """
        steps = (stretch.first, stretch.end) if self._stretched else stretch.first
        return self._after(state, stretch.batch, steps)

    def __call__(self, state: TrainState, batch: Batch, step: int) -> tuple[TrainState, Any]:
        """``(state, losses)`` after a batch, where the program is of single steps.

        ``losses.aux`` is a `Logged` of the batch. Seeds that have stopped stay as they are.
        ``params``, ``statistics``, ``opt_state`` and ``average`` are donated.

        Args:
          state: the state.
          batch: of `TrainingBatches`.
          step: its number, which dropout and noise are drawn for.
        """
        placement = self._problem.placement
        return self._after(state, batch, placement.put(np.int32(step), placement.replicated))

    def _after(self, state: TrainState, batch: Batch, step: Any) -> tuple[TrainState, Any]:
        problem = self._problem
        moving = Moving(*(getattr(state, name) for name in Moving._fields))
        given = Given(
            batch,
            problem.statistics,
            problem.seed_keys,
            step,
            state.stopped,
            problem.resident,
            problem.class_weights,
        )
        moving, losses = self._advance(moving, given)
        return state._replace(**moving._asdict()), losses


class _Compiled:
    """The step, or a stretch of steps, in one program, compiled at the first call."""

    def __init__(self, task: Task, branches: bool = False, stretched: bool = False) -> None:
        one = _one_step(task)
        every = _of_one_seed(one) if branches else jax.vmap(one, in_axes=(0, _AXES))
        advance = repeated(every) if stretched else every

        def step(donated: Moving, method_state: Any, given: Given) -> tuple[Moving, Any]:
            return advance(donated._replace(method_state=method_state), given)

        self._step = jax.jit(step, donate_argnums=0, out_shardings=task.problem.placement.seeds)
        self.program: jax.stages.Compiled | None = None

    def __call__(self, moving: Moving, given: Given) -> tuple[Moving, Any]:
        operands = (moving._replace(method_state=None), moving.method_state, given)
        if jax.config.values["jax_disable_jit"]:  # A program compiled ahead refuses to run then.
            return self._step(*operands)
        if self.program is None:
            self.program = self._step.lower(*operands).compile()
        return self.program(*operands)


def _as_step(task: Task, moving: Moving, given: Given) -> StepInputs:
    """A step of one seed, its batch standardised and corrupted."""
    key = step_key(given.seed_key, given.step)
    batch = network_inputs(
        task.problem.experiment.corruption, "train", given.resident, given.scales, given.batch, key
    )
    return StepInputs(batch, moving.statistics, key, moving.method_state, given.class_weights)


def _one_step(task: Task) -> Advance:
    tx = task.transformation
    freezes = task.problem.experiment.evaluation.patience is not None
    average = _averaging(task)
    phases = {phase: task.value_and_grad(phase) for phase in task.phases}

    def one(before: Moving, given: Given) -> tuple[Moving, Any]:
        step = _as_step(task, before, given)
        params, opt_state, statistics, losses = before.params, before.opt_state, {}, {}
        for phase, value_and_grad in phases.items():
            losses[phase], grads, signals = value_and_grad(params, step)
            static = {} if phase is None else {"phase": phase}
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
        return after, _summarize(losses)

    return one


def _averaging(task: Task) -> Callable[[Any, Any, Any], Any]:
    """``(average, params, statistics) -> average`` after a step; of None, None."""
    decay = task.problem.experiment.optimization.ema
    if decay is None:
        return lambda average, params, statistics: average
    return functools.partial(move_average, decay=decay)


def _summarize(losses: dict[str | None, Any]) -> Any:
    """One record of a step's updates, with a `Logged` as ``aux``.

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


def _first(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf[0], tree)


def _first_given(given: Given) -> Given:
    own = _first(given._replace(step=None, resident=None))
    return own._replace(step=given.step, resident=given.resident)


def _of_one_seed(one: Advance) -> Advance:
    """A step of the only seed without ``vmap``, which would take all branches."""

    def advance(moving: Moving, given: Given) -> tuple[Moving, Any]:
        after = one(_first(moving), _first_given(given))
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], after)

    return advance


def _one_seed(task: Task) -> Advance:
    """One seed without ``vmap``: its axis is taken off inside the compiled functions."""
    problem, tx, value_and_grad = task.problem, task.transformation, task.value_and_grad()

    def with_axis(tree: Any) -> Any:
        expanded = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], tree)
        return jax.lax.with_sharding_constraint(expanded, problem.placement.seeds)

    def value_and_grad_of_first(
        params: Any, statistics: Any, method_state: Any, given: Given
    ) -> Any:
        moving = Moving(_first(params), None, _first(statistics), None, _first(method_state))
        step = _as_step(task, moving, _first_given(given))
        losses, grads, signals = value_and_grad(moving.params, step)
        return with_axis(losses), grads, signals

    def update_first(
        updates: Any, state: Any, params: Any = None, **signals: Any
    ) -> tuple[Any, Any]:
        updates, state = tx.update(updates, _first(state), _first(params), **signals)
        return with_axis(updates), with_axis(state)

    step = make_train_step(
        value_and_grad_of_first, optax.GradientTransformationExtraArgs(tx.init, update_first)
    )
    revise = jax.jit(jax.vmap(task.objective.advance))
    average = jax.jit(_averaging(task), donate_argnums=0)

    def seed_step(moving: Moving, given: Given) -> tuple[Moving, Any]:
        # Whether the seed has stopped does not matter: the loop ends when the only one does.
        params, opt_state, losses = step(
            moving.params, moving.opt_state, moving.statistics, moving.method_state, given
        )
        state = moving.method_state
        if jax.tree.leaves(state):
            state = revise(state, losses.aux.by_objective)
        averaged, statistics = moving.average, losses.aux.statistics
        if averaged is not None:
            averaged = average(averaged, params, statistics)
        moved = Moving(params, opt_state, statistics, averaged, state)
        return moved, _summarize({None: losses})

    return seed_step
