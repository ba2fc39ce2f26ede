"""The training step of all seeds at once, or a stretch of such steps, of a run's state."""

from typing import Any

import jax
import numpy as np

from masam_jax.data.batch import Batch
from masam_jax.training.batches import Stretch
from masam_jax.training.compiled_step import CompiledStep
from masam_jax.training.host_step import host_step
from masam_jax.training.one_step import Advance, Given, Moving
from masam_jax.training.state import TrainState
from masam_jax.training.storage.processes import agreed
from masam_jax.training.stretches import longest
from masam_jax.training.task import Task


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
        self._cycle = task.method.cycle
        self._stretched = stretched
        self._longest: int | None = None
        self._compiled = CompiledStep(task, branches=branches and stretched, stretched=stretched)
        self._advance: Advance = self._compiled
        placement = task.problem.placement
        whole = placement.parallel == "jit" and not placement.splits_parameters
        if on_host and branches and not stretched and whole:
            self._advance = host_step(task)

    @property
    def flops(self) -> float | None:
        """XLA's estimate for one step, on one device, the mean over the steps of a cycle.

        None where there is none.
        """
        return self._compiled.flops

    @property
    def program(self) -> jax.stages.Compiled | None:
        """The program of the first step; None before the first call, and on the host."""
        return self._compiled.program

    @property
    def longest(self) -> int:
        """Steps of the longest stretch that one call should take; 1 before the first call.

        The first process's number, whose estimate need not be another's. All ask together.
        """
        if not self._stretched or self.program is None:
            return 1
        if self._longest is None:
            platform = self._problem.placement.mesh.devices.flat[0].platform
            self._longest = agreed(longest(self.program, platform))
        return self._longest

    def stretch(self, state: TrainState, stretch: Stretch) -> tuple[TrainState, Any]:
        """``(state, losses)`` after a stretch; the losses are those of its last step.

        Args:
          state: the state, donated as below.
          stretch: of one step, where the program is of single steps; all of whose steps measure
            the same, see `masam_jax.refresh_cycle`.
        """
        numbers = stretch.numbers if self._stretched else stretch.numbers[0]
        return self._after(state, stretch.batch, numbers, stretch.start)

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
        number = placement.put(np.int32(step), placement.replicated)
        return self._after(state, batch, number, step)

    def lower(self, state: TrainState, batch: Batch) -> jax.stages.Lowered:
        """The program of a cycle's first step, not yet compiled, where it is of single steps.

        Args:
          state: the state, which may be of shapes with shardings alone, for a placement that puts
            nothing anywhere.
          batch: likewise.
        """
        placement = self._problem.placement
        number = placement.put(np.int32(0), placement.replicated)
        moving, given = self._operands(state, batch, number)
        if self._advance is self._compiled:
            return self._compiled.lower(moving, given)
        whole = jax.jit(self._advance, static_argnums=2, donate_argnums=0)
        return whole.lower(moving, given, self._cycle[0])

    def _after(
        self, state: TrainState, batch: Batch, numbers: Any, step: int
    ) -> tuple[TrainState, Any]:
        moving, given = self._operands(state, batch, numbers)
        moving, losses = self._advance(moving, given, self._cycle[step % len(self._cycle)])
        return state._replace(**moving._asdict()), losses

    def _operands(self, state: TrainState, batch: Batch, numbers: Any) -> tuple[Moving, Given]:
        problem = self._problem
        moving = Moving(*(getattr(state, name) for name in Moving._fields))
        given = Given(
            batch,
            problem.statistics,
            problem.seed_keys,
            numbers,
            state.stopped,
            problem.resident,
            problem.class_weights,
        )
        return moving, given
