"""How fast the published network of CREMA-D trains, and whether it waits for its batches."""

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from masam_jax.data.streaming import ReadAhead
from masam_jax.methods import parse_method
from masam_jax.training.problem import Problem
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import Task


@dataclasses.dataclass(frozen=True)
class Consumption:
    """Training steps of one method, compiled and warm.

    Attributes:
      method: its name.
      seconds: the median step on one batch that is on the device already.
      per_second: samples.
      waiting: for each number of workers asked for, the median seconds that a step waited for its
        batch in a loop that reads ahead and trains at once, as a run does.
    """

    method: str
    seconds: float
    per_second: float
    waiting: dict[int, float]


def measure_consumption(
    problem: Problem, method: str, steps: int, workers: Sequence[int] = ()
) -> Consumption:
    """Samples/s of a method's training step, with the machine to itself.

    Args:
      problem: data, network and order of batches, of one seed.
      method: ``NAME[:OPTION=VALUE,...]``.
      steps: how many are timed, each time.
      workers: numbers of processes that read ahead, with which its waiting is measured.
    """
    task = Task(problem, parse_method(method))
    advance, state = SeedStep(task), init_state(task)
    batch = task.batches.at(0)

    def step(batch: Any) -> None:
        nonlocal state
        state, losses = advance(state, batch, 0)
        jax.block_until_ready((state.params, losses))

    # MASAM chooses a branch by the batch; each is compiled when it is first taken.
    for _ in range(2):
        step(batch)
    seconds = statistics.median(_timed(lambda: step(batch)) for _ in range(steps))
    waiting = {}
    for processes in workers:
        ahead = ReadAhead(processes, problem.ahead.threads)
        with contextlib.closing(task.batches.start(0, ahead)) as batches:
            waiting[processes] = statistics.median(_waits(batches, step, steps))
    size = problem.experiment.optimization.batch_size
    return Consumption(task.method.name, seconds, size / seconds, waiting)


def _waits(batches: Iterator[Any], step: Callable[[Any], None], steps: int) -> list[float]:
    step(next(batches))  # Waits for the readers to start.
    waits = []
    for _ in range(steps):
        start = time.perf_counter()
        batch = next(batches)
        waits.append(time.perf_counter() - start)
        step(batch)
    return waits


def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
