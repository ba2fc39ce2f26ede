"""Training steps for devices that need not be there: of the transformation, and of the loop."""

from collections.abc import Callable, Mapping

import jax

from experiments.core_steps import CORE_STEPS, core_steps
from masam_jax.methods import parse_method
from masam_jax.training.problem import Problem
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import abstract_state
from masam_jax.training.task import Task

_OF_THE_LOOP = {"loop, late fusion": "late_fusion", "loop, MASAM": "masam"}
STEPS = (*CORE_STEPS, *_OF_THE_LOOP)

Lower = Callable[[], jax.stages.Lowered]


def lowered_steps(problem: Problem) -> Mapping[str, Lower]:
    """A function for each of `STEPS`; calling it traces the step.

    Those of `core_steps`; and "loop", what ``masam train`` runs on these devices, with its
    gathering of samples and its metrics.

    Args:
      problem: of one seed.
    """

    def of_the_loop(method: str) -> jax.stages.Lowered:
        task = Task(problem, parse_method(method))
        return SeedStep(task).lower(abstract_state(task), task.batches.at(0))

    core: dict[str, Lower] = {name: step.lower for name, step in core_steps(problem).items()}
    loop: dict[str, Lower] = {
        name: lambda method=method: of_the_loop(method)  # type: ignore[misc]
        for name, method in _OF_THE_LOOP.items()
    }
    return core | loop
