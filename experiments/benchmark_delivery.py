"""How fast the input pipeline prepares, reads, decodes and delivers samples."""

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np

from masam_jax.data.batch import Batch
from masam_jax.data.builders.base import PublishedBuilder
from masam_jax.data.draws import Draws
from masam_jax.data.sample_reader import SampleReader
from masam_jax.data.streaming import ReadAhead, training_batches
from masam_jax.training.problem import Problem

Batches = Callable[[SampleReader, ReadAhead], Generator[Batch, None, None]]

# Batches that are compared for any number of workers; enough that each of them made one.
_COMPARED = 4


@dataclasses.dataclass(frozen=True)
class Stage:
    """One part of the work, alone in one thread, or in a few.

    Attributes:
      name: which part.
      threads: that work.
      per_second: samples.
    """

    name: str
    threads: int
    per_second: float


@dataclasses.dataclass(frozen=True)
class Delivery:
    """Training batches with one number of workers.

    Attributes:
      workers: processes that read ahead; 0 for threads of this one.
      threads: that decode, in each process.
      decoded: samples/s as a run reads them: from disk, decoded and augmented.
      kept: samples/s of the same pipeline without reading and decoding: samples that were decoded
        beforehand are kept in memory, and what is left is batching, threads and processes.
      first_batch: seconds until the first batch is there, which for workers is their start.
    """

    workers: int
    threads: int
    decoded: float
    kept: float
    first_batch: float


def measure_preparation(
    make_builder: Callable[[Path], PublishedBuilder],
    source: Path,
    place: Path,
    threads: Sequence[int],
) -> list[Stage]:
    """Clips/s from the source's files to the prepared data.

    Args:
      make_builder: given a directory.
      source: directory of the files.
      place: gets a directory ``threads_N`` of prepared data for each number.
      threads: numbers of decoding threads.
    """
    stages = []
    for count in threads:
        builder = make_builder(place / f"threads_{count}")
        start = time.perf_counter()
        builder.prepare(source, threads=count)
        elapsed = time.perf_counter() - start
        stages.append(Stage("prepare: WAV and FLV", count, len(builder.index.keys) / elapsed))
    return stages


def measure_stages(problem: Problem, seconds: float) -> list[Stage]:
    """Reading alone, and reading with decoding and augmentation, in one thread without batches.

    The prepared data are in the system's page cache, as they are once an epoch has passed on a
    machine with memory enough.
    """
    reader, count = _reader(problem), len(problem.data)
    rows = itertools.cycle(range(count))
    read = _rate(lambda: reader.stored(next(rows)), seconds)
    draws = itertools.count()
    whole = _rate(lambda: reader([next(rows)], [Draws(0, next(draws))]), seconds)
    return [Stage("read alone", 1, read), Stage("read, decode, augment", 1, whole)]


def measure_delivery(
    problem: Problem, workers: Sequence[int], threads: Sequence[int], seconds: float
) -> list[Delivery]:
    """Samples/s of `training_batches` with every number of workers and threads.

    Args:
      problem: prepared data, and the order of their rows.
      workers: numbers of processes.
      threads: numbers of threads in each.
      seconds: how long each is measured, once its first batches are there.

    Raises:
      RuntimeError: the first batches are not the same for all numbers.
    """
    reader, batches = _reader(problem), _training(problem)
    kept = cast(SampleReader, _Kept(reader(np.arange(len(problem.data)))))
    expected: list[Batch] = []
    rows = []
    for processes, each in itertools.product(workers, threads):
        ahead = ReadAhead(processes, each)
        with contextlib.closing(batches(reader, ahead)) as samples:
            start = time.perf_counter()
            found = [next(samples)]
            first_batch = time.perf_counter() - start
            found += itertools.islice(samples, _COMPARED - 1)
            expected = expected or found
            _check_same(found, expected, ahead)
            decoded = _batch_rate(samples, seconds)
        with contextlib.closing(batches(kept, ahead)) as samples:
            all(itertools.islice(samples, _COMPARED))
            rows.append(
                Delivery(processes, each, decoded, _batch_rate(samples, seconds), first_batch)
            )
    return rows


class _Kept:
    """Decoded samples in memory, in a reader's place."""

    def __init__(self, samples: Batch) -> None:
        self._samples = samples

    def __call__(self, rows: np.ndarray, draws: Sequence[Draws] | None = None) -> Batch:
        del draws
        return jax.tree.map(lambda leaf: np.stack([leaf[row] for row in rows]), self._samples)


def _reader(problem: Problem) -> SampleReader:
    return cast(Any, problem.data).reader


def _training(problem: Problem) -> Batches:
    seeds = problem.experiment.seeds.values
    return lambda reader, ahead: training_batches(reader, problem.batches, seeds, ahead=ahead)


def _rate(step: Callable[[], Any], seconds: float) -> float:
    step()
    start = time.perf_counter()
    for done in itertools.count(1):
        step()
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return done / elapsed
    raise AssertionError


def _batch_rate(samples: Iterator[Batch], seconds: float) -> float:
    # The batches that are ready already would count as made in no time.
    size = next(iter(next(samples).present.values())).size
    for _ in range(2 * _COMPARED):
        next(samples)
    return size * _rate(lambda: next(samples), seconds)


def _check_same(found: list[Batch], expected: list[Batch], ahead: ReadAhead) -> None:
    for number, (own, first) in enumerate(zip(found, expected, strict=True)):
        same = jax.tree.map(np.array_equal, own, first)
        if not all(jax.tree.leaves(same)):
            raise RuntimeError(
                f"batch {number} with {ahead.workers} workers and {ahead.threads} threads differs"
                " from that of the first measurement; a run would not be repeatable"
            )
