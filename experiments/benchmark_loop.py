"""How fast the training loop is beside a bare JAX loop, and many seeds beside one: ``make bench``.

The bare loop is what a user would write for ``mfeat`` with Flax and Optax alone: one jitted step of
all seeds under ``vmap``, donated buffers, batches drawn beforehand and kept on the device, nothing
logged, evaluated or saved. The training loop is ``masam_jax.training.loop.train_method`` as the
command line runs it, which logs as often as it does there; what it evaluates and compiles does not
count. Both take the same network, batches, optimizer and number of seeds, and turns alternate.

Seeds together are compared with as many runs of one seed: by their steps alone, and by all of a
training, to which compilation belongs; starting Python does not.

    .venv/bin/python -m experiments.benchmark_loop

Takes about five minutes on two CPU cores; with ``--quick``, half a minute.
"""

import dataclasses
import functools
import io
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import tyro
from rich.console import Console
from rich.table import Table

from masam_jax import multimodal_value_and_grad
from masam_jax.config import (
    DataConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.data import standardize
from masam_jax.methods import parse_method
from masam_jax.training.distribution import make_placement
from masam_jax.training.interrupt import InterruptRequest
from masam_jax.training.loop import train_method
from masam_jax.training.predictions import Predictors
from masam_jax.training.problem import Problem, build_problem
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.state import init_state
from masam_jax.training.task import Task

METHODS = {"late fusion": "late_fusion", "MASAM": "masam:rho=12"}
LEAST, LEAST_FASTER = 0.9, 3.0
"""Of the bare loop's steps a second; of seeds one after the other."""


@dataclasses.dataclass(frozen=True)
class LoopSettings:
    """What to measure."""

    seeds: int = 16
    """Seeds of the loops that are compared."""
    together: int = 8
    """Seeds that are trained together, and one after the other."""
    steps: int = 400
    """Steps of a turn."""
    rounds: int = 5
    """Turns of each."""
    quick: bool = False
    """Few steps and one turn, to see that everything runs."""

    def __post_init__(self) -> None:
        for name in ("seeds", "together", "steps", "rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.quick:
            for name, value in {"seeds": 2, "together": 2, "steps": 20, "rounds": 1}.items():
                object.__setattr__(self, name, value)


class LoopRow(NamedTuple):
    """One comparison, of one method.

    Attributes:
      method: its name.
      what: what is compared.
      ratio: the median over turns of a turn's ratio.
      target: the least that it should be.
      seconds: medians of both.
    """

    method: str
    what: str
    ratio: float
    target: float
    seconds: tuple[float, float]


class Turn(NamedTuple):
    """One training.

    Attributes:
      step: seconds of a step of all seeds, without what is compiled and evaluated.
      whole: seconds of the training with those; of the bare loop not measured.
    """

    step: float
    whole: float = math.nan


def measure_loop(settings: LoopSettings, console: Console) -> list[LoopRow]:
    """The comparisons of each method."""
    many, one = (_problem(n, settings.steps) for n in (settings.seeds, 1))
    several = _problem(settings.together, settings.steps)
    rows = []
    for name, spec in METHODS.items():
        console.print(f"training loop, {name} ...")
        bare = bare_loop(Task(many, parse_method(spec)), settings.steps)
        loops: dict[str, Callable[[], Turn]] = {
            "bare": lambda bare=bare: Turn(bare()[1]),  # type: ignore[misc]
            "loop": functools.partial(train_once, many, spec),
            "together": functools.partial(train_once, several, spec),
            "alone": functools.partial(train_once, one, spec),
        }
        turns = [{each: loop() for each, loop in loops.items()} for _ in range(settings.rounds)]
        rows += _rows(name, turns, settings)
    return rows


def _rows(name: str, turns: list[dict[str, Turn]], settings: LoopSettings) -> list[LoopRow]:
    def row(what: str, least: float, above: list[float], below: list[float]) -> LoopRow:
        ratio = statistics.median(a / b for a, b in zip(above, below, strict=True))
        return LoopRow(
            name, what, ratio, least, (statistics.median(above), statistics.median(below))
        )

    def steps(which: str) -> list[float]:
        return [turn[which].step for turn in turns]

    several = settings.together
    one_by_one = f"{several} seeds one after the other over all together"
    return [
        row(
            f"{settings.seeds} seeds: a step of a bare loop over one of the training loop",
            LEAST,
            steps("bare"),
            steps("loop"),
        ),
        row(
            f"{one_by_one}: steps",
            LEAST_FASTER,
            [several * seconds for seconds in steps("alone")],
            steps("together"),
        ),
        row(
            f"{one_by_one}: {settings.steps} steps, compiled and evaluated",
            LEAST_FASTER,
            [several * turn["alone"].whole for turn in turns],
            [turn["together"].whole for turn in turns],
        ),
    ]


def _problem(seeds: int, steps: int) -> Problem:
    experiment = Experiment(
        data=DataConfig("mfeat"),
        model=ModelConfig(),
        optimization=OptimizationConfig(steps=steps),
        seeds=SeedConfig(seeds=seeds),
        evaluation=EvaluationConfig(evaluate_every=steps, checkpoint_every=10**9),
    )
    return build_problem(experiment, make_placement)


def train_once(problem: Problem, spec: str) -> Turn:
    """A method trained by the training loop; nothing compiled is kept from one call to the next."""
    task = Task(problem, parse_method(spec))
    with tempfile.TemporaryDirectory() as place:
        result = train_method(
            task,
            Path(place),
            {"method": spec},
            predict=Predictors(problem).of(task),
            progress=ProgressReport(Console(file=io.StringIO(), quiet=True)),
            interrupt=InterruptRequest(),
        )
    return Turn(1 / float(result["steps_per_second"]), float(result["seconds"]))


def bare_loop(task: Task, steps: int) -> Callable[[], tuple[Any, float]]:
    """What takes ``steps`` steps in plain JAX when it is called.

    It returns the parameters, and the seconds of a step, without the first.

    Args:
      task: whose network, batches and transformation are taken.
      steps: of a call, two at least.
    """
    problem = task.problem
    order = jnp.stack([jnp.asarray(task.batches.at(step).rows) for step in range(steps)])
    resident, labels = problem.resident, jnp.asarray(problem.data.labels)
    value_and_grad = multimodal_value_and_grad(
        task.network.late_fusion(), loss_weights=task.method.loss_weight
    )

    def one(params: Any, opt_state: Any, scales: Any, rows: Any) -> tuple[Any, Any, Any]:
        inputs = standardize(jax.tree.map(lambda x: x[rows], resident), scales)
        found, grads, signals = value_and_grad(params, inputs, labels[rows])
        updates, opt_state = task.transformation.update(grads, opt_state, params, **signals)
        return optax.apply_updates(params, updates), opt_state, found.total

    def step(params: Any, opt_state: Any, order: Any, number: Any) -> tuple[Any, Any, Any]:
        return jax.vmap(one)(params, opt_state, problem.statistics, order[number])

    compiled = jax.jit(step, donate_argnums=(0, 1))

    def turn() -> tuple[Any, float]:
        state = init_state(task)
        params, opt_state = state.params, state.opt_state
        params, opt_state, _ = compiled(params, opt_state, order, 0)
        jax.block_until_ready(params)
        start = time.perf_counter()
        for number in range(1, steps):
            params, opt_state, _ = compiled(params, opt_state, order, number)
        jax.block_until_ready(params)
        return params, (time.perf_counter() - start) / (steps - 1)

    return turn


def print_loop(rows: list[LoopRow], settings: LoopSettings, console: Console) -> None:
    """A table, and each ratio beside what it should be."""
    table = Table(title=f"training loop, mfeat, {settings.steps} steps, {settings.rounds} turns")
    for column in ("Method", "What", "ms, one", "ms, other", "Ratio", "At least"):
        table.add_column(column)
    for row in rows:
        times = [f"{1e3 * seconds:.2f}" for seconds in row.seconds]
        table.add_row(row.method, row.what, *times, f"{row.ratio:.2f}", f"{row.target:g}")
    console.print(table)
    for row in rows:
        met = "met" if row.ratio >= row.target else "not met"
        console.print(
            f"{row.method}: {row.what}: {row.ratio:.2f} (at least {row.target:g}: {met})",
            highlight=False,
            soft_wrap=True,
        )


def main() -> None:
    """Measures and prints."""
    settings, console = tyro.cli(LoopSettings, description=__doc__), Console()
    print_loop(measure_loop(settings, console), settings, console)


if __name__ == "__main__":
    main()
