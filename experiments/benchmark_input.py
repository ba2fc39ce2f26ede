"""Whether the input pipeline keeps up with the published networks: part of ``make bench``.

    .venv/bin/python -m experiments.benchmark_input --clips 48 --seconds 5

A made CREMA-D of full-size media (16 kHz WAV and 480 × 360 FLV of 2.5 s) is prepared by its
builder, and read back as ``masam train --dataset
crema_d:audio=stft,frames=1,pick=segments,crop=clip`` reads it: batches of 16, spectrograms of 257 ×
188, a frame cropped at random to 224 × 224. The tables say how many samples/s

- preparing, reading and decoding give, in one thread or two;
- `training_batches` delivers with each number of workers and threads, as a run has it ("decoding
  on"), and with samples that were decoded before and are kept in memory ("decoding off": only
  batching, threads and processes are left);
- the published pair of ResNet-18 takes, in late-fusion steps and in MASAM's;

and × how much faster they are delivered than taken, each with the machine to itself. In a run they
share it: "waits" is how long a late-fusion step then waits for its batch. The first batches of all
numbers of workers and threads are compared, and must be the same bit by bit.

Takes about six minutes on two CPU cores, most of it compilation and steps of the network.
"""

import dataclasses
import tempfile
from pathlib import Path

import jax
import tyro
from rich.console import Console
from rich.table import Table

from experiments.benchmark_consumption import Consumption, measure_consumption
from experiments.benchmark_delivery import (
    Delivery,
    Stage,
    measure_delivery,
    measure_preparation,
    measure_stages,
)
from experiments.benchmark_media import FRAME_SIZE, make_media
from masam_jax.config import SeedConfig
from masam_jax.config.published.crema_d import CREMA_D
from masam_jax.data.builders.crema_d import CremaD, CremaDOptions
from masam_jax.data.on_disk import PreparedData
from masam_jax.training.distribution import make_placement
from masam_jax.training.problem import Problem, build_problem


@dataclasses.dataclass(frozen=True)
class InputSettings:
    """What to measure."""

    clips: int = 48
    """Clips that are made; a sixth of them are test clips."""
    batch_size: int = 16
    """Samples in a batch."""
    image_size: int = 224
    """Side of a frame, in pixels."""
    workers: tuple[int, ...] = (0, 1, 2)
    """Numbers of processes that read ahead; 0 for threads of this one."""
    threads: tuple[int, ...] = (1, 2)
    """Numbers of threads, in each process."""
    seconds: float = 5.0
    """How long each rate is measured."""
    steps: int = 3
    """Training steps that are timed."""

    def __post_init__(self) -> None:
        for name, least in (("clips", 6), ("batch_size", 1), ("image_size", 1), ("steps", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.seconds < 0:
            raise ValueError(f"seconds must be at least 0, got {self.seconds}")
        for name, least in (("workers", 0), ("threads", 1)):
            numbers = getattr(self, name)
            if not numbers or min(numbers) < least:
                raise ValueError(f"{name} must be numbers of at least {least}, got {numbers}")


@dataclasses.dataclass(frozen=True)
class InputReport:
    """What was measured; every rate is of samples in a second."""

    stages: list[Stage]
    delivery: list[Delivery]
    consumption: list[Consumption]


def measure_input(
    settings: InputSettings,
    console: Console,
    *,
    frame_size: tuple[int, int] = FRAME_SIZE,
) -> InputReport:
    """Makes the media in a temporary directory, and measures.

    Args:
      settings: what to measure.
      console: told what is under way.
      frame_size: height and width of the film.

    Raises:
      RuntimeError: batches depend on the number of workers or threads.
    """
    options = CremaDOptions(
        audio="stft", frames=1, pick="segments", crop="clip", image_size=settings.image_size
    )
    test = settings.clips // 6
    with tempfile.TemporaryDirectory() as directory, console.status("") as status:
        place = Path(directory)
        status.update(f"making {settings.clips} clips")
        make_media(place / "source", train=settings.clips - test, test=test, frame_size=frame_size)
        status.update("preparing them")
        stages = measure_preparation(
            lambda data_dir: CremaD(data_dir=data_dir, options=options),
            place / "source",
            place,
            settings.threads,
        )
        problem = _problem(place / f"threads_{settings.threads[-1]}", options, settings)
        status.update("reading and decoding")
        stages += measure_stages(problem, settings.seconds)
        status.update("delivering batches")
        delivery = measure_delivery(problem, settings.workers, settings.threads, settings.seconds)
        status.update("late-fusion steps")
        late = measure_consumption(problem, "late_fusion", settings.steps, settings.workers)
        status.update("MASAM's steps")
        consumption = [late, measure_consumption(problem, "masam", settings.steps)]
    return InputReport(stages, delivery, consumption)


def _problem(data_dir: Path, options: CremaDOptions, settings: InputSettings) -> Problem:
    published = CREMA_D.experiment
    experiment = dataclasses.replace(
        published,
        optimization=dataclasses.replace(published.optimization, batch_size=settings.batch_size),
        seeds=SeedConfig(1),
    )
    return build_problem(
        experiment,
        lambda seeds, batch: make_placement(seeds, batch, jax.devices()[:1]),
        PreparedData(CremaD(data_dir=data_dir, options=options), data_dir),
    )


def stage_table(report: InputReport) -> Table:
    """Preparing, reading and decoding."""
    table = _table("input pipeline, its parts", "part", "threads", "samples/s")
    for stage in report.stages:
        table.add_row(stage.name, str(stage.threads), f"{stage.per_second:.0f}")
    return table


def consumption_table(report: InputReport) -> Table:
    """Training steps, and their wait for batches by the number of workers."""
    workers = list(report.consumption[0].waiting)
    waits = [f"waits, {count}" for count in workers]
    title = "training steps of the ResNet-18 pair, and ms that one waits, by workers"
    table = _table(title, "step", "ms", "samples/s", *waits)
    for row in report.consumption:
        waited = [f"{row.waiting[w] * 1e3:.1f}" if row.waiting else "" for w in workers]
        table.add_row(row.method, f"{row.seconds * 1e3:.0f}", f"{row.per_second:.1f}", *waited)
    return table


def delivery_table(report: InputReport) -> Table:
    """Batches by the number of workers and threads, and × what training takes."""
    ratios = [f"× {row.method}" for row in report.consumption]
    title = "batches, samples/s with decoding on and off, and seconds to the first"
    table = _table(title, "workers", "threads", "on", *ratios, "off", "start s")
    for row in report.delivery:
        table.add_row(
            str(row.workers),
            str(row.threads),
            f"{row.decoded:.0f}",
            *[f"{row.decoded / taken.per_second:.1f}" for taken in report.consumption],
            f"{row.kept:.0f}",
            f"{row.first_batch:.1f}",
        )
    return table


def print_report(report: InputReport, console: Console) -> None:
    """The three tables, and the least ratio."""
    for table in (stage_table(report), consumption_table(report), delivery_table(report)):
        console.print(table, "")
    fastest = max(report.consumption, key=lambda row: row.per_second)
    slowest = min(report.delivery, key=lambda row: row.decoded)
    console.print(
        f"Delivered at least × {slowest.decoded / fastest.per_second:.1f} as fast as taken"
        f" (workers={slowest.workers}, threads={slowest.threads}; {fastest.method}). The first"
        " batches were the same for all numbers of workers and threads.",
        highlight=False,
    )


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(first)
    for heading in others:
        table.add_column(heading, justify="right")
    return table


def main(settings: InputSettings) -> None:
    """Measures and prints."""
    console = Console()
    print_report(measure_input(settings, console), console)


if __name__ == "__main__":
    main(tyro.cli(InputSettings, description=__doc__))
