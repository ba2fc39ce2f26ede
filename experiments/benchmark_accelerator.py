"""Times of a step on the accelerator that is there, × late fusion: ``make accelerator``.

A pair of ResNet-18 on 224 × 224 images, data-parallel over all devices that JAX sees, in bfloat16
and in float32: late fusion, SAM, MASAM by each dispatch, and a step between of the approximate one.
Each time is the median over interleaved rounds, and its ratio the median of each round's ratio to
late fusion. Prints tables in Markdown under the device's name, and writes ``accelerator.json``.

It ends within eight minutes: a step whose turn to be compiled comes too late is left out, and said
to be. "MASAM, host" is one step of the training loop's own two programs, with Python between them.

    .venv/bin/python -m experiments.benchmark_accelerator --network mlp --seconds 60   # on any CPU
"""

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from rich.console import Console

from experiments.abstract_problem import NetworkName, Precision, abstract_problem, place
from experiments.benchmark_measure import Step, Timing, time_interleaved
from experiments.core_steps import BASELINE, CoreStep, core_steps
from masam_jax.training.storage.atomic_files import write_text
from masam_jax.training.train_step import make_train_step

HOST = "MASAM, host"
# Of the time for a precision, what its compilations may take; the rest is for measuring.
_COMPILING = 0.8


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to measure."""

    network: NetworkName = "resnet18"
    """Encoders: ResNet-18 on 224 × 224, six transformer blocks of width 512, four dense layers."""
    modalities: int = 2
    """Number of modalities M."""
    precisions: tuple[Precision, ...] = ("bfloat16", "float32")
    """Of the computation; parameters are float32."""
    batch_per_device: int = 64
    """Samples in a batch, for each device."""
    rounds: int = 11
    """How often every step has its turn."""
    seconds: float = 450.0
    """Within which it ends, but for one compilation."""
    output: Path = Path("accelerator.json")
    """The file that the numbers are written to."""

    def __post_init__(self) -> None:
        for name in ("modalities", "batch_per_device", "rounds"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.precisions:
            raise ValueError("precisions must name at least one of bfloat16, float32")
        if not self.seconds > 0:
            raise ValueError(f"seconds must be above 0, got {self.seconds}")


def measure(settings: Settings, precision: Precision, seconds: float) -> dict[str, Timing | None]:
    """The time of every step; None of those that were not reached.

    Args:
      settings: what to measure.
      precision: of the computation.
      seconds: within which it ends, but for one compilation.
    """
    start, devices = time.monotonic(), jax.devices()
    problem = abstract_problem(
        settings.network,
        settings.modalities,
        settings.batch_per_device * len(devices),
        precision,
        place(devices, "data"),
    )
    ready: dict[str, tuple[Step, Any, Any]] = {}
    steps = core_steps(problem)
    for name, step in steps.items():
        if name == BASELINE or time.monotonic() - start < _COMPILING * seconds:
            ready[name] = _ready(step, on_host=name == HOST)
    # A turn of every step in every round, of which each step has a few more before.
    turns = len(ready) * (settings.rounds + 2)
    left = max(0.0, seconds - (time.monotonic() - start))
    timings = time_interleaved(
        ready, BASELINE, rounds=settings.rounds, seconds_per_turn=left / (2 * turns)
    )
    return {name: timings.get(name) for name in steps}


def _ready(step: CoreStep, *, on_host: bool) -> tuple[Step, Any, Any]:
    """A step that has run, and its parameters and state."""
    params, opt_state, *batch = _made(step.operands())
    run: Any
    if on_host:
        run = make_train_step(step.value_and_grad, step.tx, dispatch="host")
    else:
        run = step.lower().compile()

    def on_batch(params: Any, opt_state: Any) -> tuple[Any, Any]:
        return run(params, opt_state, *batch)[:2]

    params, opt_state = jax.block_until_ready(on_batch(params, opt_state))
    return on_batch, params, opt_state


def _made(operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arrays of these shapes: parameters and samples drawn, an optimizer's state of zeros."""
    keys = jax.random.key(0)

    def drawn(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.ones(leaf.shape, leaf.dtype)
        return 0.02 * jax.random.normal(keys, leaf.shape, leaf.dtype)

    def zeros(leaf: jax.ShapeDtypeStruct) -> jax.Array:
        return jnp.zeros(leaf.shape, leaf.dtype)

    def make() -> tuple[Any, ...]:
        params, opt_state, *batch = operands
        return (
            jax.tree.map(drawn, params),
            jax.tree.map(zeros, opt_state),
            *jax.tree.map(drawn, batch),
        )

    shardings = jax.tree.map(lambda leaf: leaf.sharding, operands)
    return jax.jit(make, out_shardings=shardings)()


def table(precision: str, timings: Mapping[str, Timing | None]) -> str:
    """In Markdown."""
    lines = [f"| step, {precision} | ms | × late fusion |", "|---|---|---|"]
    for name, timing in timings.items():
        cells = ("not reached", "") if timing is None else _numbers(timing)
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


def _numbers(timing: Timing) -> tuple[str, str]:
    return f"{1e3 * timing.seconds:.2f}", f"{timing.ratio:.2f}"


def main(settings: Settings) -> None:
    """Measures, prints and writes, after each precision."""
    console, start = Console(), time.monotonic()
    devices = jax.devices()
    here = {"jax": jax.__version__, "device": devices[0].device_kind, "devices": len(devices)}
    title = (
        f"{here['devices']} × {here['device']}, JAX {here['jax']}: {settings.network},"
        f" M = {settings.modalities}, {settings.batch_per_device} samples a device"
    )
    console.print(title, "", highlight=False, soft_wrap=True)
    measured: dict[str, dict[str, Any]] = {}
    for done, precision in enumerate(settings.precisions):
        left = settings.seconds - (time.monotonic() - start)
        timings = measure(settings, precision, left / (len(settings.precisions) - done))
        console.print(table(precision, timings), "", highlight=False, soft_wrap=True)
        measured[precision] = {
            name: None if timing is None else dataclasses.asdict(timing)
            for name, timing in timings.items()
        }
        document = {
            "environment": here,
            "settings": dataclasses.asdict(settings) | {"output": str(settings.output)},
            "timings": measured,
        }
        write_text(settings.output, json.dumps(document, indent=2) + "\n")
    console.print(f"Written to {settings.output}")


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
