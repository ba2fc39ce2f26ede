"""What a step of each method costs, × late fusion: ``make bench``.

Prints a table for each kind of encoder and number of modalities, and writes all of it to
``benchmarks.json``. FLOPs and memory are XLA's, of the compiled step (of a conditional the dearest
branch, for only one runs); the time is the median over interleaved rounds, and its ratio the median
of each round's ratio to late fusion, so that a machine that drifts does not favour anyone.

"Late fusion" is one ``jax.value_and_grad`` of the total loss; "this API" takes the same gradient
from ``multimodal_value_and_grad`` and reads no signal. MASAM's rows below "plain loss_fn" use a
`LateFusion`. "One jitted step" and "training loop" are what the defaults do on this backend.

The tables of the zoo have one row for each registered method with its defaults, in one jitted step
of the training loop (MASAM's default on CPU with convolutions is the host's choice, above).
G-Blend's trials between steps are not in its row: each super-epoch of n steps has two of n steps,
so it costs three times that.

The last tables are those of ``experiments.benchmark_resnet``, a step of the published pair of
ResNet-18, beside PyTorch where it can be imported; of ``experiments.benchmark_geometry``, what a
Hessian trace costs; of ``experiments.benchmark_loop``, the training loop beside a bare one, and
seeds together beside one after the other; of ``experiments.benchmark_start``, what a second start
compiles; and of ``experiments.benchmark_input``: how fast samples are read from disk, and how fast
the published networks take them.

    .venv/bin/python -m experiments.benchmark --encoders conv --modalities 2 --skip-input

Takes about ten minutes on two CPU cores, most of it compilation, and as long again for each of
ResNet-18 and geometry; with ``--quick --skip-input --skip-geometry --skip-resnet --skip-start
--skip-loop``, about one.
"""

import dataclasses
import json
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import jax
import tyro
from rich.console import Console
from rich.table import Table

from experiments.arithmetic_floor import floor
from experiments.benchmark_geometry import (
    GeometryReport,
    GeometrySettings,
    measure_geometry,
    print_geometry,
)
from experiments.benchmark_input import InputReport, InputSettings, measure_input, print_report
from experiments.benchmark_loop import LoopRow, LoopSettings, measure_loop, print_loop
from experiments.benchmark_measure import Cost, Timing, cost, time_interleaved
from experiments.benchmark_models import make_problem
from experiments.benchmark_resnet import (
    ResNetRow,
    ResNetSettings,
    measure_resnet,
    print_resnet,
)
from experiments.benchmark_start import StartRow, StartSettings, measure_start, print_start
from experiments.benchmark_variants import (
    BASELINE,
    JITTED_DEFAULT,
    LOOP_DEFAULT,
    SAM,
    Variant,
    make_variants,
)
from experiments.benchmark_zoo import ZOO_BASELINE, make_zoo_problem, make_zoo_variants


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to measure."""

    encoders: tuple[Literal["mlp", "conv"], ...] = ("mlp", "conv")
    """Kinds of encoder: three dense layers on vectors, three convolutions on 32 × 32 images."""
    modalities: tuple[int, ...] = (2, 3, 6)
    """Numbers of modalities M."""
    batch_size: int = 16
    """Samples in a batch."""
    rounds: int = 15
    """How often every step has its turn."""
    quick: bool = False
    """Few rounds of two modalities alone, to see that everything runs."""
    pipeline: InputSettings = dataclasses.field(default_factory=InputSettings)
    skip_input: bool = False
    """Leave out the input pipeline."""
    geometry: GeometrySettings = dataclasses.field(default_factory=GeometrySettings)
    skip_geometry: bool = False
    """Leave out the Hessian trace."""
    resnet: ResNetSettings = dataclasses.field(default_factory=ResNetSettings)
    skip_resnet: bool = False
    """Leave out the published pair of ResNet-18."""
    loop: LoopSettings = dataclasses.field(default_factory=LoopSettings)
    skip_loop: bool = False
    """Leave out the training loop beside a bare one."""
    start: StartSettings = dataclasses.field(default_factory=StartSettings)
    skip_start: bool = False
    """Leave out the second start with kept programs."""
    output: Path = Path("benchmarks.json")
    """The file that the numbers are written to."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.modalities or min(self.modalities) < 1:
            raise ValueError(f"modalities must be positive numbers, got {self.modalities}")
        if not self.encoders:
            raise ValueError("encoders must name at least one of mlp, conv")


@dataclasses.dataclass(frozen=True)
class Row:
    """One variant's cost, and × late fusion of the same encoders."""

    encoder: str
    modalities: int
    variant: str
    flops: float
    flops_ratio: float
    seconds: float
    seconds_ratio: float
    memory_bytes: int
    memory_ratio: float


def measure(encoder: str, modalities: int, settings: Settings, console: Console) -> list[Row]:
    """The rows of one table."""
    compilers = make_variants(make_problem(encoder, modalities, settings.batch_size))
    return _measure(encoder, modalities, compilers, BASELINE, settings, console)


def measure_zoo(encoder: str, settings: Settings, console: Console) -> list[Row]:
    """The rows of the zoo's table, two modalities."""
    compilers = make_zoo_variants(make_zoo_problem(encoder, 2, settings.batch_size))
    return _measure(encoder, 2, compilers, ZOO_BASELINE, settings, console)


def _measure(
    encoder: str,
    modalities: int,
    compilers: dict[str, Callable[[], Variant]],
    baseline: str,
    settings: Settings,
    console: Console,
) -> list[Row]:
    variants = {}
    with console.status("") as status:
        for name, compile_variant in compilers.items():
            status.update(f"{encoder}, {modalities} modalities: compiling {name}")
            variants[name] = compile_variant()
        costs = {name: cost(variant.programs) for name, variant in variants.items()}
        status.update(f"{encoder}, {modalities} modalities: measuring")
        timings = time_interleaved(
            {name: (v.step, v.params, v.opt_state) for name, v in variants.items()},
            baseline,
            rounds=settings.rounds,
        )
    return [
        _row(encoder, modalities, name, costs[name], costs[baseline], timings[name])
        for name in variants
    ]


def _row(
    encoder: str, modalities: int, variant: str, own: Cost, baseline: Cost, timing: Timing
) -> Row:
    return Row(
        encoder=encoder,
        modalities=modalities,
        variant=variant,
        flops=own.flops,
        flops_ratio=own.flops / baseline.flops,
        seconds=timing.seconds,
        seconds_ratio=timing.ratio,
        memory_bytes=own.memory_bytes,
        memory_ratio=own.memory_bytes / baseline.memory_bytes,
    )


def table(rows: list[Row], remark: str) -> Table:
    """A terminal table of the rows of one encoder and number of modalities."""
    title = f"{rows[0].encoder} encoders, M = {rows[0].modalities} ({remark})"
    result = Table(title=title, title_justify="left")
    result.add_column("step")
    for heading in ("MFLOP", "×", "ms", "×", "peak MiB", "×"):
        result.add_column(heading, justify="right")
    for row in rows:
        result.add_row(
            row.variant,
            f"{row.flops / 1e6:.1f}",
            f"{row.flops_ratio:.2f}",
            f"{row.seconds * 1e3:.2f}",
            f"{row.seconds_ratio:.2f}",
            f"{row.memory_bytes / 2**20:.1f}",
            f"{row.memory_ratio:.2f}",
        )
    return result


def environment() -> dict[str, Any]:
    """What the numbers depend on."""
    return {
        "jax": jax.__version__,
        "python": platform.python_version(),
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
    }


def main(settings: Settings) -> None:
    """Measures, prints and writes."""
    console = Console()
    if settings.quick:
        brief = dataclasses.replace(settings.pipeline, seconds=1.0, steps=1)
        few = dataclasses.replace(settings.geometry, samples=settings.geometry.batch_size, turns=1)
        settings = dataclasses.replace(
            settings,
            modalities=(2,),
            rounds=3,
            pipeline=brief,
            geometry=few,
            resnet=settings.resnet.shortened(),
            start=dataclasses.replace(settings.start, resnet=False, quick=True),
            loop=dataclasses.replace(settings.loop, quick=True),
        )
    rows: list[Row] = []
    for encoder in settings.encoders:
        for modalities in settings.modalities:
            measured = measure(encoder, modalities, settings, console)
            remark = f"arithmetic floor × {floor(modalities):.2f}"
            console.print(table(measured, remark), "")
            rows += measured
    zoo: list[Row] = []
    for encoder in settings.encoders:
        measured = measure_zoo(encoder, settings, console)
        console.print(table(measured, "the zoo, one jitted step"), "")
        zoo += measured
    for row in rows:
        if (row.encoder, row.modalities) == ("conv", 2) and row.variant in _TARGETS:
            ratio = f"{row.variant} × {row.seconds_ratio:.2f}"
            console.print(f"conv, M = 2: {ratio} ({_TARGETS[row.variant]})", highlight=False)
    resnet: list[ResNetRow] = []
    if not settings.skip_resnet:
        resnet = measure_resnet(settings.resnet, console)
        print_resnet(resnet, settings.resnet, console)
    loops: list[LoopRow] = []
    if not settings.skip_loop:
        loops = measure_loop(settings.loop, console)
        print_loop(loops, settings.loop, console)
    starts: list[StartRow] = []
    if not settings.skip_start:
        starts = measure_start(settings.start, console)
        print_start(starts, settings.start, console)
    geometry: GeometryReport | None = None
    if not settings.skip_geometry:
        geometry = measure_geometry(settings.geometry, console)
        print_geometry(geometry, settings.geometry, console)
    pipeline: InputReport | None = None
    if not settings.skip_input:
        pipeline = measure_input(settings.pipeline, console)
        print_report(pipeline, console)
    document = {
        "environment": environment(),
        "settings": dataclasses.asdict(settings) | {"output": str(settings.output)},
        "rows": [dataclasses.asdict(row) for row in rows],
        "zoo": [dataclasses.asdict(row) for row in zoo],
        "resnet": [dataclasses.asdict(row) for row in resnet],
        "loop": [row._asdict() for row in loops],
        "start": [dataclasses.asdict(row) | {"ratio": row.ratio} for row in starts],
        "geometry": None if geometry is None else dataclasses.asdict(geometry),
        "input": None if pipeline is None else dataclasses.asdict(pipeline),
    }
    settings.output.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    console.print(f"Written to {settings.output}")


_TARGETS = {
    SAM: "about 1.9 on CPU",
    LOOP_DEFAULT: "at most 2.3 on CPU",
    JITTED_DEFAULT: "at most 2.5 on CPU",
}


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
