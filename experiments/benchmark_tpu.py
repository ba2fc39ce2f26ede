"""What a step of each method costs on TPUs, compiled and not run: ``make tpu``.

Prints a table for each topology, network, number of modalities, precision and layout, and writes
all of it to ``tpu.json``. Numbers are the TPU compiler's, of one chip. No TPU is needed, and no
time is measured but the CPU time of compilation.

    .venv/bin/python -m experiments.benchmark_tpu --topologies v5e:2x4 v5p:2x2x2 --modalities 2 3 6

A ResNet-18 pair compiles for one to ten minutes a step, by how busy the machine is; a program that
is in the file already is not compiled again. ``--everything`` is all that this can compile, which
takes a day.
"""

import dataclasses
import importlib.metadata
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import jax
import tyro
from rich.console import Console
from rich.table import Table

from experiments.abstract_problem import (
    Layout,
    NetworkName,
    Precision,
    abstract_problem,
    place,
)
from experiments.arithmetic_floor import floor
from experiments.compiled_cost import CompiledCost, compiled_cost
from experiments.compiled_rows import Group, Row, read_rows, write_rows
from experiments.core_steps import BASELINE, SWITCH
from experiments.tpu_steps import STEPS, lowered_steps
from experiments.tpu_topologies import TOPOLOGIES, devices_of

MOST_OF_FLOOR = 1.05
"""FLOPs of the exact step, × the arithmetic floor, that are aimed at."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to compile: every combination of these."""

    topologies: tuple[str, ...] = TOPOLOGIES[:1]
    """Chips and how they are connected, each as CHIP:SHAPE, of v4, v5e, v5p and v6e."""
    networks: tuple[NetworkName, ...] = ("resnet18", "transformer")
    """Encoders: ResNet-18 on 224 × 224, six transformer blocks of width 512, four dense layers."""
    modalities: tuple[int, ...] = (2,)
    """Numbers of modalities M."""
    precisions: tuple[Precision, ...] = ("bfloat16",)
    """Of the computation; parameters are float32."""
    layouts: tuple[Layout, ...] = ("data",)
    """Parameters on every chip, or each large one laid over all."""
    steps: tuple[Literal[STEPS], ...] = STEPS  # type: ignore[valid-type]
    """Steps; the first is compiled in any case."""
    batch_per_chip: int = 16
    """Samples in a batch, for each chip."""
    everything: bool = False
    """All topologies, networks, precisions and layouts, with 2, 3 and 6 modalities."""
    output: Path = Path("tpu.json")
    """The file that the numbers are written to, and read from."""

    def __post_init__(self) -> None:
        if self.batch_per_chip < 1:
            raise ValueError(f"batch_per_chip must be at least 1, got {self.batch_per_chip}")
        if not self.modalities or min(self.modalities) < 1:
            raise ValueError(f"modalities must be positive numbers, got {self.modalities}")
        for name in ("topologies", "networks", "precisions", "layouts"):
            if not getattr(self, name):
                raise ValueError(f"{name} must name at least one")

    @property
    def groups(self) -> Iterator[Group]:
        """Every combination."""
        chosen = EVERYTHING if self.everything else self
        for combination in itertools.product(
            chosen.topologies,
            chosen.networks,
            chosen.modalities,
            chosen.precisions,
            chosen.layouts,
        ):
            yield Group(*combination, self.batch_per_chip)


EVERYTHING = Settings(
    topologies=TOPOLOGIES,
    networks=("resnet18", "transformer"),
    modalities=(2, 3, 6),
    precisions=("bfloat16", "float32"),
    layouts=("data", "fsdp"),
)


def compile_group(group: Group, steps: tuple[str, ...], known: list[Row]) -> Iterator[Row]:
    """A row for each step, as it is compiled; those that are known are not compiled again."""
    found = {row.step: row for row in known if row.group == group}
    devices = devices_of(group.topology)
    problem = abstract_problem(
        group.network,
        group.modalities,
        group.batch_per_chip * len(devices),
        group.precision,
        place(devices, group.layout),
    )
    for name, lower in lowered_steps(problem).items():
        if name in found:
            yield found[name]
        elif name in (BASELINE, *steps):
            yield Row(group, name, compiled_cost(lower()))


def table(rows: list[Row]) -> Table:
    """A terminal table of the rows of one group."""
    group = rows[0].group
    baseline = next(row.cost for row in rows if row.step == BASELINE)
    remark = f"compiled, not run; arithmetic floor × {floor(group.modalities):.2f}"
    result = Table(title=f"{group.words} ({remark})", title_justify="left")
    result.add_column("step")
    for heading in (
        *("GFLOP", "×", "accessed, GB", "×", "peak, MiB", "×"),
        *("collectives", "MiB", "×", "compiling, s", "×"),
    ):
        result.add_column(heading, justify="right")
    for row in rows:
        result.add_row(row.step, *_cells(row.cost, baseline))
    return result


def _cells(cost: CompiledCost, baseline: CompiledCost) -> Iterator[str]:
    def ratio(name: str) -> str:
        own, below = getattr(cost, name), getattr(baseline, name)
        return f"{own / below:.2f}" if own is not None and below else ""

    yield from (f"{cost.flops / 1e9:.1f}", ratio("flops"))
    yield from (f"{cost.bytes_accessed / 1e9:.2f}", ratio("bytes_accessed"))
    yield from (f"{cost.peak_bytes / 2**20:.0f}", ratio("peak_bytes"))
    yield str(cost.collectives)
    yield from (f"{cost.collective_bytes / 2**20:.1f}", ratio("collective_bytes"))
    seconds = cost.compile_seconds
    yield from ("" if seconds is None else f"{seconds:.0f}", ratio("compile_seconds"))


def verdict(rows: list[Row]) -> str | None:
    """Whether the exact step is at its arithmetic floor; None where it was not compiled."""
    flops = {row.step: row.cost.flops for row in rows}
    if SWITCH not in flops:
        return None
    least = floor(rows[0].group.modalities)
    of_floor = flops[SWITCH] / flops[BASELINE] / least
    met = "met" if of_floor <= MOST_OF_FLOOR else "not met"
    return f"{SWITCH}: {of_floor:.3f} × the floor (at most {MOST_OF_FLOOR}: {met})"


def environment() -> dict[str, str]:
    """What the numbers depend on."""
    return {"jax": jax.__version__, "libtpu": importlib.metadata.version("libtpu")}


def main(settings: Settings) -> None:
    """Compiles, prints and writes."""
    # Programs for TPUs are made on the CPU; without this JAX would look for a TPU first.
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    console = Console()
    groups = list(settings.groups)
    for topology in dict.fromkeys(group.topology for group in groups):
        devices_of(topology)  # Complains before anything has been compiled.
    versions = environment()
    known = read_rows(settings.output, versions)
    for group in groups:
        rows = []
        with console.status(f"{group.words}: compiling"):
            for row in compile_group(group, settings.steps, known):
                rows.append(row)
                if row not in known:
                    known.append(row)
                    write_rows(settings.output, versions, known)
        console.print(table(rows))
        console.print(verdict(rows) or "", "", highlight=False)
    console.print(f"Written to {settings.output}")


if __name__ == "__main__":
    try:
        main(tyro.cli(Settings, description=__doc__))
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error
