"""Batches of prepared data, read ahead by threads or processes; the same for any number of them."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple

import grain
import jax
import numpy as np
from absl import flags

from masam_jax.data.batch import Batch
from masam_jax.data.draws import Draws
from masam_jax.data.sample_reader import SampleReader

# Tells the draws of augmentation from all others of a seed.
_AUGMENT = 31

WHOLE = (slice(None), slice(None))
"""All seeds and all places of a batch."""

BatchBox = tuple[slice, slice]

# Batches of workers come through pipes. Shared memory is not much faster (measured: 10 ms instead
# of 15 for 5.6 MB), is scarce in containers, and may be left to clean up when a run ends.
_THROUGH_PIPES = grain.experimental.DatasetOptions(min_shm_size=sys.maxsize)


class ReadAhead(NamedTuple):
    """How batches are read ahead.

    Attributes:
      workers: processes; 0 for threads of this one.
      threads: that decode, in each process.
      batches: that are kept ready.
    """

    workers: int = 0
    threads: int = 2
    batches: int = 4


_DEFAULT = ReadAhead()


def training_batches(
    reader: SampleReader,
    indices: grain.MapDataset[np.ndarray],
    seeds: Sequence[int],
    *,
    start: int = 0,
    box: BatchBox = WHOLE,
    augment: bool = True,
    ahead: ReadAhead = _DEFAULT,
) -> Generator[Batch, None, None]:
    """Samples of step ``start`` and all later ones, leaves ``[S, B, ...]``, without end.

    A sample is a function of seed, step and place in the batch, so that neither resuming nor the
    number of workers changes anything. Closing the generator ends what reads ahead.

    Args:
      reader: reads rows.
      indices: element t holds the rows of step t, ``[S, B]``.
      seeds: S integers >= 0, which augmentation draws from.
      start: the first step.
      box: the seeds and places that this process needs.
      augment: whether samples are augmented.
      ahead: workers, and how much they read ahead.
    """
    make = _TrainingBatch(reader, indices, tuple(seeds), box, augment)
    return _run(grain.MapDataset.range(start, sys.maxsize).map(make), ahead)


def row_batches(
    reader: SampleReader, rows: np.ndarray, size: int, ahead: ReadAhead = _DEFAULT
) -> Iterator[Batch]:
    """Samples of the rows ``[n]`` in order, without augmentation, ``size`` at a time.

    The last batch is filled up with its last row, so that all have one shape.
    """
    count = -(-len(rows) // size)
    padded = np.pad(rows, (0, count * size - len(rows)), mode="edge")
    make = _RowBatch(reader, padded.reshape(count, size))
    return _run(grain.MapDataset.range(count).map(make), ahead)


def _run(batches: grain.MapDataset[Batch], ahead: ReadAhead) -> Generator[Batch, None, None]:
    options = grain.ReadOptions(num_threads=ahead.threads, prefetch_buffer_size=ahead.batches)
    iterable = batches.to_iter_dataset(options)
    if ahead.workers:
        if not flags.FLAGS.is_parsed():
            # Grain asks absl for its flags before it starts workers; there are none here.
            flags.FLAGS.mark_as_parsed()
        iterable = grain.experimental.WithOptionsIterDataset(iterable, _THROUGH_PIPES)
        iterable = iterable.mp_prefetch(
            grain.MultiprocessingOptions(num_workers=ahead.workers, per_worker_buffer_size=2)
        )
    iterator = iter(iterable)
    try:
        yield from iterator
    finally:
        iterator.close()


class _TrainingBatch(grain.transforms.Map):
    def __init__(
        self,
        reader: SampleReader,
        indices: grain.MapDataset[np.ndarray],
        seeds: tuple[int, ...],
        box: BatchBox,
        augment: bool,
    ) -> None:
        self._reader = reader
        self._indices = indices
        self._seeds = seeds
        self._box = box
        self._augment = augment

    def map(self, element: int) -> Batch:
        """The samples of step ``element``."""
        rows = self._indices[element][self._box]
        all_places = np.arange(self._indices[element].shape[1])
        places, seeds = all_places[self._box[1]], self._seeds[self._box[0]]
        draws = None
        if self._augment:
            draws = [Draws(s, _AUGMENT, element, int(place)) for s in seeds for place in places]
        flat = self._reader(rows.reshape(-1), draws)
        return jax.tree.map(lambda x: x.reshape(rows.shape + x.shape[1:]), flat)


class _RowBatch(grain.transforms.Map):
    def __init__(self, reader: SampleReader, rows: np.ndarray) -> None:
        self._reader = reader
        self._rows = rows

    def map(self, element: int) -> Batch:
        """The samples of part ``element``."""
        return self._reader(self._rows[element])
