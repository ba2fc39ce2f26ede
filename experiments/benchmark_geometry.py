"""What a Hessian trace costs, beside a plain loop of Hessian-vector products: ``make bench``.

A pair of ResNet-18 with batch normalisation, by its running statistics, under late fusion:
`hessian_trace` of the fusion loss over 512 samples, to a standard error of 5 %, of the whole and of
every encoder. Then, in turns, so that a machine that drifts favours neither, the same vectors in

- `hessian_trace`'s own way: second derivatives by forward mode;
- the loop that one writes without this library: ``jax.jvp(jax.grad(loss))`` of one vector and
  batch in one jitted program, and the inner product with the vector.

Memory is XLA's, of the compiled program, and the vectors that are held. Small images, few channels:
the published pair (``--channels 64 --image-size 224``) takes hours on a CPU. The parameters are
initial ones, and the images noise, which XLA does not know.

    .venv/bin/python -m experiments.benchmark_geometry

Takes about ten minutes on two CPU cores that others use as well.
"""

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from experiments.benchmark_measure import cost
from masam_jax.geometry import fusion_loss, hessian_trace
from masam_jax.geometry.estimate import Estimate
from masam_jax.geometry.mean_loss import MeanLoss, curvature, from_vector
from masam_jax.geometry.parts import everything
from masam_jax.geometry.signs import random_signs
from masam_jax.models import LateFusionNetwork, ResNet

MODALITIES = ("audio", "video")
CLASSES = 6
AT_ONCE = 4
# Passes over a batch after which running statistics are those of the batch.
_WARM_UP = 30


@dataclasses.dataclass(frozen=True)
class GeometrySettings:
    """What to measure."""

    samples: int = 512
    """Samples that the loss is over."""
    batch_size: int = 32
    """Samples in a batch."""
    image_size: int = 32
    """Side of an image, in pixels; 224 in the published networks."""
    channels: int = 16
    """Channels of the first stage; 64 in the published networks."""
    relative_error: float = 0.05
    """Standard error over the trace, at which to stop."""
    max_samples: int = 1000
    """At most so many random vectors of a part."""
    turns: int = 5
    """Turns of four vectors that each way has beside the other."""

    def __post_init__(self) -> None:
        for name in ("samples", "batch_size", "image_size", "channels", "turns"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.samples % self.batch_size:
            raise ValueError(f"batch_size={self.batch_size} must divide samples={self.samples}")


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to take ``vᵀ H v`` of a vector, over all samples.

    Attributes:
      seconds: for one vector, the median over turns.
      ratio: the median, over turns, of the time over the plain loop's.
      flops: of one vector.
      memory_bytes: of the program, and of the vectors.
    """

    seconds: float
    ratio: float
    flops: float
    memory_bytes: int


@dataclasses.dataclass(frozen=True)
class GeometryReport:
    """What was measured.

    Attributes:
      parameters: their number.
      whole: the trace, alone.
      whole_seconds: the time it took, without compilation.
      parts: of every encoder, of the rest, and of the whole as their sum.
      parts_seconds: the time it took.
      ours: forward mode.
      plain: the plain loop.
      difference: the largest relative one between the two ways' numbers.
    """

    parameters: int
    whole: Estimate
    whole_seconds: float
    parts: dict[str, Estimate]
    parts_seconds: float
    ours: Way
    plain: Way
    difference: float


def measure_geometry(settings: GeometrySettings, console: Console) -> GeometryReport:
    """Measures one trace, the parts' traces, and both ways in turns."""
    with console.status("") as status:
        status.update("geometry: network")
        network, params, batches = _problem(settings)
        loss_fn = fusion_loss(network.late_fusion())

        def trace(labels: Any, max_samples: int) -> dict[str, Estimate]:
            return hessian_trace(
                loss_fn,
                params,
                batches,
                labels=labels,
                key=jax.random.key(0),
                relative_error=settings.relative_error,
                max_samples=max_samples,
                at_once=AT_ONCE,
            )

        found = []
        for labels in (None, network.labels):
            status.update("geometry: compiling")
            trace(labels, 2)
            status.update("geometry: traces")
            start = time.perf_counter()
            found.append((trace(labels, settings.max_samples), time.perf_counter() - start))
        status.update("geometry: both ways")
        ours, plain, difference = measure_ways(loss_fn, params, batches, settings.turns)
    (whole, whole_seconds), (parts, parts_seconds) = found
    return GeometryReport(
        parameters=sum(leaf.size for leaf in jax.tree.leaves(params)),
        whole=whole["all"],
        whole_seconds=whole_seconds,
        parts=parts,
        parts_seconds=parts_seconds,
        ours=ours,
        plain=plain,
        difference=difference,
    )


def _problem(settings: GeometrySettings) -> tuple[LateFusionNetwork, Any, list[Any]]:
    encoder = functools.partial(ResNet, 18, 3, base_channels=settings.channels)
    sizes = dict.fromkeys(MODALITIES, 8 * settings.channels)
    network = LateFusionNetwork(dict.fromkeys(MODALITIES, encoder), sizes, CLASSES)
    params = network.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    shape = (settings.batch_size, settings.image_size, settings.image_size, 3)
    batches = [
        (
            {m: jnp.asarray(rng.normal(size=shape), jnp.float32) for m in MODALITIES},
            jnp.asarray(rng.integers(0, CLASSES, settings.batch_size), jnp.int32),
        )
        for _ in range(settings.samples // settings.batch_size)
    ]
    statistics_of = jax.jit(network.encode_training, static_argnums=1)
    running = network.init_statistics()
    for _ in range(_WARM_UP):
        running = {m: statistics_of(params, m, batches[0][0][m], running)[1] for m in MODALITIES}
    return network.with_statistics(running), params, batches


def measure_ways(
    loss_fn: Any, params: Any, batches: list[Any], turns: int
) -> tuple[Way, Way, float]:
    mean_loss = MeanLoss(loss_fn, params, batches)
    positions = everything(params)
    size = mean_loss.size(positions)
    product = jax.jit(functools.partial(_plain, loss_fn))
    first = random_signs(jax.random.key(0), size, mean_loss.dtype)
    programs = {
        "ours": curvature.lower(loss_fn, positions, params, batches[0], first).compile(),
        "plain": product.lower(params, batches[0], first).compile(),
    }

    def draw(turn: int) -> list[jax.Array]:
        keys = jax.random.split(jax.random.key(turn), AT_ONCE)
        return [random_signs(key, size, mean_loss.dtype) for key in keys]

    def plain(vectors: list[jax.Array]) -> list[float]:
        sums = [sum(product(params, batch, vector) for batch in batches) for vector in vectors]
        return [float(each) / len(batches) for each in sums]

    ways: dict[str, Callable[[list[jax.Array]], list[float]]] = {
        "ours": lambda vectors: mean_loss.curvatures(vectors, positions),
        "plain": plain,
    }
    values: dict[str, list[float]] = {name: [] for name in ways}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(-1, turns):  # One that is not counted: the first touch of every buffer.
        for name, way in ways.items():
            start = time.perf_counter()
            values[name] += way(draw(turn + 1))
            if turn >= 0:
                times[name].append((time.perf_counter() - start) / AT_ONCE)
    ratios = [own / other for own, other in zip(times["ours"], times["plain"], strict=True)]
    found = {}
    for name in ways:
        own = cost([programs[name]])
        found[name] = Way(
            seconds=statistics.median(times[name]),
            ratio=statistics.median(ratios) if name == "ours" else 1.0,
            flops=own.flops * len(batches),
            # One vector is among the program's arguments; a plain loop needs no other.
            memory_bytes=own.memory_bytes + (AT_ONCE - 1) * first.nbytes * (name == "ours"),
        )
    differences = np.abs(np.subtract(values["ours"], values["plain"]))
    return found["ours"], found["plain"], float(np.max(differences / np.abs(values["plain"])))


def _plain(loss_fn: Any, params: Any, batch: Any, vector: jax.Array) -> jax.Array:
    leaves, structure = jax.tree.flatten(params)
    tangent = jax.tree.unflatten(structure, from_vector(vector, leaves))
    _, product = jax.jvp(jax.grad(lambda point: loss_fn(point, batch)), (params,), (tangent,))
    pairs = zip(jax.tree.leaves(tangent), jax.tree.leaves(product), strict=True)
    return jnp.stack([jnp.vdot(v, hv) for v, hv in pairs]).sum()


def print_geometry(report: GeometryReport, settings: GeometrySettings, console: Console) -> None:
    """Prints two tables."""
    size = f"{settings.image_size} × {settings.image_size}"
    traces = Table(
        title=(
            f"Hessian trace, a pair of ResNet-18 of {report.parameters:,} parameters"
            f" ({settings.channels} channels, images {size}), {settings.samples} samples,"
            f" to {100 * settings.relative_error:g} %"
        ),
        title_justify="left",
    )
    traces.add_column("of")
    for heading in ("trace", "error", "vectors", "reached", "seconds"):
        traces.add_column(heading, justify="right")
    rows = [("the whole alone", report.whole, report.whole_seconds)]
    rows += [(name, each, report.parts_seconds) for name, each in report.parts.items()]
    for name, estimate, seconds in rows:
        traces.add_row(
            f"{name}, with parts" if name == "all" else name,
            f"{estimate.mean:.4g}",
            f"{estimate.standard_error:.2g}",
            str(estimate.samples),
            "yes" if estimate.reached else "no",
            f"{seconds:.1f}" if name in ("the whole alone", "all") else "",
        )
    ways = Table(title="one vector of the whole, over all samples", title_justify="left")
    ways.add_column("way")
    for heading in ("GFLOP", "s", "× plain", "peak MiB"):
        ways.add_column(heading, justify="right")
    for name, way in (("plain jvp(grad) loop", report.plain), ("hessian_trace", report.ours)):
        ways.add_row(
            name,
            f"{way.flops / 1e9:.1f}",
            f"{way.seconds:.3f}",
            f"{way.ratio:.2f}",
            f"{way.memory_bytes / 2**20:.1f}",
        )
    console.print(traces, ways, "")
    count = report.whole.samples
    console.print(
        f"{count} vectors: plain loop {count * report.plain.seconds:.1f} s by its median,"
        f" hessian_trace {report.whole_seconds:.1f} s as it ran; the two ways' numbers differ by"
        f" {report.difference:.1g} at most",
        highlight=False,
    )


def main(settings: GeometrySettings) -> None:
    """Measures and prints."""
    console = Console()
    print_geometry(measure_geometry(settings, console), settings, console)


if __name__ == "__main__":
    main(tyro.cli(GeometrySettings, description=__doc__))
