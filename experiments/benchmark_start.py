"""What a second start costs beside the first, with compiled programs kept: part of ``make bench``.

Every start is a process of its own, the first with an empty folder of JAX's compilation cache, the
second with what the first left there (``masam_jax.training.kept_programs``). Each takes one step of
the training loop and says how long tracing, lowering and compiling took, or reading what was kept;
starting Python, and running the step, are left out. The loop chooses MASAM's dispatch, and of the
host's the branch that the first step took is compiled.

    .venv/bin/python -m experiments.benchmark_start
    .venv/bin/python -m experiments.benchmark_start --resnet

Three convolutions an encoder take half a minute on two CPU cores, and the published pair of
ResNet-18 some minutes; with ``--quick``, dense layers.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Literal

import optax
import tyro
from rich.console import Console
from rich.table import Table

from experiments.benchmark_models import Problem, make_problem
from experiments.benchmark_resnet import ResNetSettings, make_resnet_problem
from experiments.benchmark_variants import from_loop
from masam_jax import masam
from masam_jax.training.kept_programs import kept_programs

Network = Literal["mlp", "conv", "resnet"]
STEPS = ("late fusion", "MASAM")
# Of the first start.
TARGET = 0.25


@dataclasses.dataclass(frozen=True)
class StartSettings:
    """What to measure."""

    batch_size: int = 16
    """Samples in a batch."""
    resnet: bool = False
    """The published pair of ResNet-18 instead of three convolutions an encoder."""
    quick: bool = False
    """Dense layers instead, to see that everything runs."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}")
        if self.resnet and self.quick:
            raise ValueError("resnet and quick exclude each other")

    @property
    def network(self) -> Network:
        """Which encoders there are."""
        return "resnet" if self.resnet else "mlp" if self.quick else "conv"


@dataclasses.dataclass(frozen=True)
class StartRow:
    """Two starts of one step.

    Attributes:
      step: what it is.
      first: seconds of tracing and compiling, nothing kept.
      second: seconds of the same, with what the first start kept.
    """

    step: str
    first: float
    second: float

    @property
    def ratio(self) -> float:
        """The second × the first."""
        return self.second / self.first


def measure_start(settings: StartSettings, console: Console) -> list[StartRow]:
    """One row for each step."""
    rows = []
    with console.status("") as status:
        for step in STEPS:
            with tempfile.TemporaryDirectory() as folder:
                seconds = []
                for which in ("first", "second"):
                    status.update(f"start of {settings.network}, {step}: {which}")
                    seconds.append(_start(step, settings, folder))
            rows.append(StartRow(step, *seconds))
    return rows


def _start(step: str, settings: StartSettings, folder: str) -> float:
    """Seconds that a process says compiling took it, programs kept in ``folder``."""
    call = f"start.say({step!r}, {settings.network!r}, {settings.batch_size})"
    done = subprocess.run(
        [sys.executable, "-c", f"import experiments.benchmark_start as start; {call}"],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"JAX_COMPILATION_CACHE_DIR": folder},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return read_answer(done.stdout)


def say(step: str, network: Network, batch_size: int) -> None:
    """Compiles in this process, and prints the seconds as one line of JSON."""
    with kept_programs(True):
        seconds = compile_seconds(step, network, batch_size)
    print(json.dumps({"compile_seconds": seconds}))


def read_answer(printed: str) -> float:
    """The seconds of what `say` printed, other lines before it."""
    return float(json.loads(printed.splitlines()[-1])["compile_seconds"])


def compile_seconds(step: str, network: Network, batch_size: int) -> float:
    """Seconds of tracing, lowering and compiling one of `STEPS` in the training loop."""
    problem = _problem(network, batch_size)
    if step == "MASAM":
        tx = masam(problem.labels, rho=0.3, alpha=0.8, beta=0.91)
        return from_loop(problem, tx, "auto").compile_seconds
    return from_loop(problem, optax.identity(), "auto").compile_seconds


def _problem(network: Network, batch_size: int) -> Problem:
    if network == "resnet":
        return make_resnet_problem(ResNetSettings(batch_size=batch_size))
    return make_problem(network, 2, batch_size)


def print_start(rows: list[StartRow], settings: StartSettings, console: Console) -> None:
    """Prints the table, and whether the target is met."""
    table = Table(title=f"two starts, {settings.network} encoders, M = 2", title_justify="left")
    table.add_column("step")
    for heading in ("first: compiling, s", "second, s", "×"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(row.step, f"{row.first:.2f}", f"{row.second:.2f}", f"{row.ratio:.2f}")
    console.print(table, "")
    for row in rows:
        met = "met" if row.ratio <= TARGET else "not met"
        console.print(
            f"{row.step}: a second start compiles for {row.ratio:.2f} of the first"
            f" (at most {TARGET:g}: {met})",
            highlight=False,
        )
    console.print("")


def main(settings: StartSettings) -> None:
    """Measures and prints."""
    console = Console()
    print_start(measure_start(settings, console), settings, console)


if __name__ == "__main__":
    main(tyro.cli(StartSettings, description=__doc__))
