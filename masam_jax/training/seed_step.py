"""The training step of all seeds at once."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec

from masam_jax.core.refresh import Refresh
from masam_jax.data.batch import Batch
from masam_jax.training.batches import network_inputs, step_key
from masam_jax.training.distribution import Placement
from masam_jax.training.parameter_average import move_average
from masam_jax.training.state import TrainState, state_shardings
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

    ``class_weights`` is None where all classes weigh the same.
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
Advance = Callable[[Moving, Given, Refresh | None], tuple[Moving, Any]]
"""``(moving, given, refresh) -> (moving, losses)``; ``refresh`` is static."""


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
        alone = len(task.problem.experiment.seeds.values) == 1
        on_host = on_host and not task.problem.placement.splits_parameters
        self._problem = task.problem
        self._cycle = task.method.cycle
        self._compiled = _Compiled(task)
        self._advance: Advance = self._compiled
        if on_host and alone and task.phases == (None,) and task.method.host_dispatch:
            self._advance = _one_seed(task)

    @property
    def flops(self) -> float | None:
        """XLA's estimate for one call, on one device, the mean over the steps of a cycle.

        None where there is none.
        """
        return self._compiled.flops

    @property
    def program(self) -> jax.stages.Compiled | None:
        """The program of the first step; None before the first call, and on the host."""
        return self._compiled.program

    def __call__(self, state: TrainState, batch: Batch, step: int) -> tuple[TrainState, Any]:
        """``(state, losses)`` after a batch.

        ``losses.aux`` is a `Logged` of the batch. Seeds that have stopped stay as they are.
        ``params``, ``statistics``, ``opt_state`` and ``average`` are donated.

        Args:
          state: the state.
          batch: of `TrainingBatches`.
          step: its number, which dropout and noise are drawn for.
        """
        moving, given = self._operands(state, batch, step)
        moving, losses = self._advance(moving, given, self._cycle[step % len(self._cycle)])
        return state._replace(**moving._asdict()), losses

    def lower(self, state: TrainState, batch: Batch) -> jax.stages.Lowered:
        """The program of a cycle's first step, not yet compiled.

        Args:
          state: the state, which may be of shapes with shardings alone, for a placement that puts
            nothing anywhere.
          batch: likewise.
        """
        moving, given = self._operands(state, batch, 0)
        if self._advance is self._compiled:
            return self._compiled.lower(moving, given)
        whole = jax.jit(self._advance, static_argnums=2, donate_argnums=0)
        return whole.lower(moving, given, self._cycle[0])

    def _operands(self, state: TrainState, batch: Batch, step: int) -> tuple[Moving, Given]:
        problem = self._problem
        moving = Moving(*(getattr(state, name) for name in Moving._fields))
        number = problem.placement.put(np.int32(step), problem.placement.replicated)
        given = Given(
            batch,
            problem.statistics,
            problem.seed_keys,
            number,
            state.stopped,
            problem.resident,
            problem.class_weights,
        )
        return moving, given


class _Compiled:
    """The step in one program for each thing that steps measure, compiled at the first call."""

    def __init__(self, task: Task) -> None:
        one, placement = _one_step(task), task.problem.placement
        kept: Any = placement.seeds
        if placement.splits_parameters:
            state = state_shardings(task)
            kept = Moving(*(getattr(state, name) for name in Moving._fields))

        def jitted(refresh: Refresh | None) -> Any:
            def step(donated: Moving, method_state: Any, given: Given) -> tuple[Moving, Any]:
                return one(donated._replace(method_state=method_state), given, refresh)

            return jax.jit(
                over_seeds(step, placement, len(task.problem.experiment.seeds.values)),
                donate_argnums=0,
                out_shardings=(kept, placement.seeds),
            )

        self._cycle = task.method.cycle
        self._steps = {refresh: jitted(refresh) for refresh in self._cycle}
        self._programs: dict[Refresh | None, jax.stages.Compiled] = {}

    @property
    def program(self) -> jax.stages.Compiled | None:
        return self._programs.get(self._cycle[0])

    @property
    def flops(self) -> float | None:
        if not self._programs:
            return None
        each = [(self._programs[r].cost_analysis() or {}).get("flops") for r in self._cycle]
        known = [flops for flops in each if flops is not None]
        return sum(known) / len(known) if len(known) == len(each) else None

    def lower(self, moving: Moving, given: Given) -> jax.stages.Lowered:
        return self._steps[self._cycle[0]].lower(*_operands(moving, given))

    def __call__(self, moving: Moving, given: Given, refresh: Refresh | None) -> tuple[Moving, Any]:
        operands = _operands(moving, given)
        if jax.config.values["jax_disable_jit"]:  # A program compiled ahead refuses to run then.
            return self._steps[refresh](*operands)
        if not self._programs:
            for each, step in self._steps.items():
                self._programs[each] = step.lower(*operands).compile()
        return self._programs[refresh](*operands)


def _operands(moving: Moving, given: Given) -> tuple[Moving, Any, Given]:
    """What is donated, and what is not."""
    return moving._replace(method_state=None), moving.method_state, given


def over_seeds(
    step: Callable[..., Any], placement: Placement, num_seeds: int
) -> Callable[..., Any]:
    """``step`` of one seed, ``(donated, method_state, given)``, of all seeds.

    Where the mesh has an axis of seeds, each device takes its own through ``shard_map``. A device
    with one seed runs it as it is, so that a branch is a branch; under ``vmap`` all of them would
    be computed, for each seed. So do devices that have parts of one seed's parameters; other runs
    of one seed keep ``vmap``, whose numbers differ in the last bits.
    """
    together = jax.vmap(step, in_axes=(0, 0, _AXES))

    def alone(donated: Any, method_state: Any, given: Given) -> Any:
        own = jax.tree.map(
            _first, (donated, method_state, given._replace(step=None, resident=None))
        )
        own_given = own[2]._replace(step=given.step, resident=given.resident)
        return jax.tree.map(lambda leaf: leaf[None], step(own[0], own[1], own_given))

    devices = placement.mesh.shape["seeds"]
    if devices == 1:
        return alone if num_seeds == 1 and placement.splits_parameters else together
    by_seed, whole = PartitionSpec("seeds"), PartitionSpec()
    specs = Given(*(by_seed if axis == 0 else whole for axis in _AXES))
    sizes = placement.mesh.shape
    return jax.shard_map(
        alone if num_seeds == devices else together,
        mesh=placement.mesh,
        in_specs=(by_seed, by_seed, specs),
        out_specs=by_seed,
        # The other axes stay with XLA's propagation; seeds do not talk to each other.
        axis_names={axis for axis in sizes if axis == "seeds" or sizes[axis] == 1},
        check_vma=False,
    )


def _first(leaf: jax.Array) -> jax.Array:
    return leaf[0]


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

    def one(before: Moving, given: Given, refresh: Refresh | None) -> tuple[Moving, Any]:
        measured = {} if refresh is None else {"refresh": refresh}
        step = _as_step(task, before, given)
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


def _one_seed(task: Task) -> Advance:
    """One seed without ``vmap``: its axis is taken off inside the compiled functions."""
    problem, tx, value_and_grad = task.problem, task.transformation, task.value_and_grad()

    def first(tree: Any) -> Any:
        return jax.tree.map(_first, tree)

    def with_axis(tree: Any) -> Any:
        expanded = jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], tree)
        return jax.lax.with_sharding_constraint(expanded, problem.placement.seeds)

    def value_and_grad_of_first(
        params: Any, statistics: Any, method_state: Any, given: Given
    ) -> Any:
        moving = Moving(first(params), None, first(statistics), None, first(method_state))
        own = first(given._replace(step=None, resident=None))
        step = _as_step(task, moving, own._replace(step=given.step, resident=given.resident))
        losses, grads, signals = value_and_grad(moving.params, step)
        return with_axis(losses), grads, signals

    def update_first(
        updates: Any, state: Any, params: Any = None, **signals: Any
    ) -> tuple[Any, Any]:
        updates, state = tx.update(updates, first(state), first(params), **signals)
        return with_axis(updates), with_axis(state)

    step = make_train_step(
        value_and_grad_of_first, optax.GradientTransformationExtraArgs(tx.init, update_first)
    )
    revise = jax.jit(jax.vmap(task.objective.advance))
    average = jax.jit(_averaging(task), donate_argnums=0)

    def seed_step(moving: Moving, given: Given, refresh: Refresh | None) -> tuple[Moving, Any]:
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
        return moved, _summarize({None: losses})

    return seed_step
