"""What a step of the published pair of ResNet-18 costs on a CPU: part of ``make bench``.

The network of CREMA-D, a spectrogram of 257 × 188 and an image of 224 × 224, 16 samples, AdamW, in
the training loop's step. Late fusion, SAM, and MASAM in every dispatch, of which "host" is the
training loop's own on CPUs; late fusion also with JAX's own convolutions in place of
``masam_jax.models.conv``. Where PyTorch can be imported, the same pair in PyTorch, and its authors'
way to take a MASAM step (``experiments.benchmark_torch``).

All steps have their turns in one run, and a ratio is the median of the rounds' ratios. Memory is
XLA's, of the compiled programs. Compilation starts from nothing; that of "host" is of the first
part and the branch that the first step took. Samples are noise.

    .venv/bin/python -m experiments.benchmark_resnet

Takes about ten minutes and 8 GiB on two idle CPU cores, half of it compilation; with ``--quick``,
small images and few channels, about two minutes.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from rich.console import Console
from rich.table import Table

from experiments.benchmark_measure import Cost, cost, time_interleaved
from experiments.benchmark_models import Problem
from experiments.benchmark_torch import AUTHORS, TORCH, make_torch_steps
from experiments.benchmark_variants import Variant, from_loop
from masam_jax import masam, sam
from masam_jax.models import LateFusionNetwork, ResNet, resnet_blocks

BASELINE = "late fusion"
LAX = "late fusion, jax.lax's convolutions"
SAM = "SAM"
SWITCH = "MASAM, switch"
HOST = "MASAM, host"
DENSE = "MASAM, dense"
CLASSES = 6


@dataclasses.dataclass(frozen=True)
class ResNetSettings:
    """What to measure."""

    batch_size: int = 16
    """Samples in a batch."""
    spectrogram: tuple[int, int] = (257, 188)
    """Frequencies and frames of the sound."""
    image_size: int = 224
    """Side of an image, in pixels."""
    channels: int = 64
    """Channels of the first stage; 64 in the published network."""
    rounds: int = 5
    """How often every step has its turn."""
    quick: bool = False
    """Small images and few channels, to see that everything runs."""
    skip_torch: bool = False
    """Leave PyTorch out even where it can be imported."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "image_size", "channels", "rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if min(self.spectrogram) < 1:
            raise ValueError(f"spectrogram must be two positive sizes, got {self.spectrogram}")

    def shortened(self) -> "ResNetSettings":
        """As ``quick`` has it."""
        return dataclasses.replace(
            self, batch_size=4, spectrogram=(64, 48), image_size=64, channels=8, rounds=2
        )


@dataclasses.dataclass(frozen=True)
class ResNetRow:
    """One step.

    Attributes:
      step: what it is.
      seconds: the median over the rounds.
      ratio: × late fusion.
      memory_bytes: at the peak, of the dearest of its programs; None for PyTorch.
      compile_seconds: tracing and compiling; None for PyTorch.
    """

    step: str
    seconds: float
    ratio: float
    memory_bytes: int | None
    compile_seconds: float | None


def measure_resnet(settings: ResNetSettings, console: Console) -> list[ResNetRow]:
    """One row for each step, late fusion first."""
    problem = make_resnet_problem(settings)
    variants: dict[str, Variant] = {}
    with console.status("") as status:
        for name, compile_variant in _compilers(problem, settings).items():
            status.update(f"ResNet-18: compiling {name}")
            variants[name] = compile_variant()
        steps: dict[str, Any] = {
            name: (variant.step, variant.params, variant.opt_state)
            for name, variant in variants.items()
        }
        if not settings.skip_torch:
            in_torch = make_torch_steps(problem.batch, settings.channels, CLASSES)
            steps |= {name: (step, None, None) for name, step in in_torch.items()}
        status.update("ResNet-18: measuring")
        timings = time_interleaved(steps, BASELINE, rounds=settings.rounds, warm_up=1)
    costs: dict[str, Cost] = {name: cost(each.programs) for name, each in variants.items()}
    return [
        ResNetRow(
            name,
            timing.seconds,
            timing.ratio,
            costs[name].memory_bytes if name in costs else None,
            variants[name].compile_seconds if name in variants else None,
        )
        for name, timing in timings.items()
    ]


def _compilers(problem: Problem, settings: ResNetSettings) -> dict[str, Callable[[], Variant]]:
    def masam_with(
        dispatch: Literal["auto", "switch", "dense"], loop: Literal["jit", "host"] = "jit"
    ) -> Callable[[], Variant]:
        tx = masam(problem.labels, rho=0.3, alpha=0.8, beta=0.91, dispatch=dispatch)
        return lambda: from_loop(problem, tx, loop)

    def plainly() -> Variant:
        with mock.patch.object(resnet_blocks, "conv", jax.lax.conv_general_dilated):
            return from_loop(make_resnet_problem(settings), optax.identity(), "jit")

    return {
        BASELINE: lambda: from_loop(problem, optax.identity(), "jit"),
        LAX: plainly,
        SAM: lambda: from_loop(problem, sam(rho=0.05), "jit"),
        SWITCH: masam_with("switch"),
        HOST: masam_with("auto", "host"),
        DENSE: masam_with("dense"),
    }


def make_resnet_problem(settings: ResNetSettings) -> Problem:
    """The pair, and one batch of noise."""
    channels = {"audio": 1, "video": 3}
    sizes = {"audio": settings.spectrogram, "video": (settings.image_size,) * 2}
    network = LateFusionNetwork(
        {
            m: functools.partial(ResNet, 18, c, base_channels=settings.channels)
            for m, c in channels.items()
        },
        dict.fromkeys(channels, 8 * settings.channels),
        CLASSES,
    )
    rng = np.random.default_rng(0)
    inputs = {
        m: jnp.asarray(rng.normal(size=(settings.batch_size, *sizes[m], c)), jnp.float32)
        for m, c in channels.items()
    }
    targets = jnp.asarray(rng.integers(0, CLASSES, settings.batch_size), jnp.int32)
    params = network.init(jax.random.key(0))
    return Problem(params, network.labels, network.late_fusion(), (inputs, targets))


def print_resnet(rows: list[ResNetRow], settings: ResNetSettings, console: Console) -> None:
    """Prints the table, and what of it meets its targets."""
    height, width = settings.spectrogram
    table = Table(
        title=(
            f"a pair of ResNet-18 ({settings.channels} channels), {height} × {width} and"
            f" {settings.image_size} × {settings.image_size}, batch {settings.batch_size}"
        ),
        title_justify="left",
    )
    table.add_column("step")
    for heading in ("s", "×", "peak MiB", "×", "compiling, s", "×"):
        table.add_column(heading, justify="right")
    baseline = rows[0]
    for row in rows:
        cells = ["", "", "", ""]
        if row.memory_bytes is not None and row.compile_seconds is not None:
            cells = [
                f"{row.memory_bytes / 2**20:.0f}",
                f"{row.memory_bytes / (baseline.memory_bytes or 1):.2f}",
                f"{row.compile_seconds:.1f}",
                f"{row.compile_seconds / (baseline.compile_seconds or 1):.2f}",
            ]
        table.add_row(row.step, f"{row.seconds:.2f}", f"{row.ratio:.2f}", *cells)
    console.print(table, "")
    for line in verdicts(rows):
        console.print(line, highlight=False)
    if not any(row.step == TORCH for row in rows):
        console.print(
            "PyTorch was left out: it is measured where it can be imported (pip install torch).",
            highlight=False,
        )
    console.print("")


def verdicts(rows: list[ResNetRow]) -> list[str]:
    """One line for each target, met or not."""
    by_name = {row.step: row for row in rows}
    late, ours = by_name[BASELINE], by_name[HOST]
    found = [
        ("MASAM's time × late fusion", ours.ratio, 2.1),
        ("MASAM's peak memory × late fusion", _over(ours.memory_bytes, late.memory_bytes), 1.3),
        ("MASAM's compilation × late fusion", _over(ours.compile_seconds, late.compile_seconds), 2),
        ("late fusion's time × with jax.lax's convolutions", 1 / by_name[LAX].ratio, 1.0),
    ]
    if TORCH in by_name:
        found += [
            ("late fusion's time × PyTorch's", 1 / by_name[TORCH].ratio, 1.2),
            ("MASAM's time × its authors' in PyTorch", ours.ratio / by_name[AUTHORS].ratio, 0.7),
        ]
    return [
        f"{what}: {ratio:.2f} (at most {target:g}: {'met' if ratio <= target else 'not met'})"
        for what, ratio, target in found
    ]


def _over(own: float | None, baseline: float | None) -> float:
    if own is None or not baseline:
        raise ValueError("neither memory nor compilation was measured")
    return own / baseline


def main(settings: ResNetSettings) -> None:
    """Measures and prints."""
    console = Console()
    if settings.quick:
        settings = settings.shortened()
    print_resnet(measure_resnet(settings, console), settings, console)


if __name__ == "__main__":
    main(tyro.cli(ResNetSettings, description=__doc__))
