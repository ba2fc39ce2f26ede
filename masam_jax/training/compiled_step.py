"""The step of all seeds, or a stretch of such steps, as XLA's programs."""

from typing import Any

import jax

from masam_jax.core.refresh import Refresh
from masam_jax.training.mapped_step import over_devices
from masam_jax.training.one_step import Given, Moving, one_step
from masam_jax.training.over_seeds import over_seeds
from masam_jax.training.state import state_shardings
from masam_jax.training.stretches import repeated
from masam_jax.training.task import Task


class CompiledStep:
    """One program for each thing that steps measure, compiled at the first call."""

    def __init__(self, task: Task, *, branches: bool = False, stretched: bool = False) -> None:
        """Of one method.

        Args:
          task: the method and its problem.
          branches: see `over_seeds`; of no account for ``pmap``.
          stretched: whether a call takes a stretch of steps; else it takes one.
        """
        one, placement = one_step(task), task.problem.placement
        kept: Any = placement.seeds
        if placement.splits_parameters:
            state = state_shardings(task)
            kept = Moving(*(getattr(state, name) for name in Moving._fields))

        def jitted(refresh: Refresh | None) -> Any:
            def of_one(donated: Moving, method_state: Any, given: Given) -> tuple[Moving, Any]:
                return one(donated._replace(method_state=method_state), given, refresh)

            num_seeds = len(task.problem.experiment.seeds.values)
            if placement.parallel == "pmap":
                every = over_devices(of_one, placement, num_seeds)
            else:
                every = over_seeds(of_one, placement, num_seeds, branches=branches)
            step = repeated(every) if stretched else every
            return jax.jit(step, donate_argnums=0, out_shardings=(kept, placement.seeds))

        self._cycle = task.method.cycle
        self._steps = {refresh: jitted(refresh) for refresh in self._cycle}
        self._programs: dict[Refresh | None, jax.stages.Compiled] = {}

    @property
    def program(self) -> jax.stages.Compiled | None:
        """The program of the first step; None before the first call."""
        return self._programs.get(self._cycle[0])

    @property
    def flops(self) -> float | None:
        """XLA's estimate for one step, on one device, the mean over the steps of a cycle.

        None where there is none.
        """
        if not self._programs:
            return None
        each = [(self._programs[r].cost_analysis() or {}).get("flops") for r in self._cycle]
        known = [flops for flops in each if flops is not None]
        return sum(known) / len(known) if len(known) == len(each) else None

    def lower(self, moving: Moving, given: Given) -> jax.stages.Lowered:
        """The program of a cycle's first step, not yet compiled."""
        return self._steps[self._cycle[0]].lower(*_operands(moving, given))

    def __call__(self, moving: Moving, given: Given, refresh: Refresh | None) -> tuple[Moving, Any]:
        """``(moving, losses)`` after the step, or the stretch."""
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
