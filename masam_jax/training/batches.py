"""Batches on the devices: rows of data that live there, or samples read ahead from disk."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import grain
import jax
import numpy as np

from masam_jax.config import CorruptionConfig
from masam_jax.core.random_keys import fold_raw
from masam_jax.data import standardize
from masam_jax.data.batch import Batch
from masam_jax.data.on_disk import PreparedData
from masam_jax.data.streaming import ReadAhead, row_batches, training_batches
from masam_jax.training import key_streams
from masam_jax.training.corruption import corrupt_inputs, still_present

if TYPE_CHECKING:
    from masam_jax.training.problem import Problem

# Rows that one compiled call predicts for every seed; bounds memory on large splits.
_CHUNK = 1024
# Likewise of samples that are read from disk, which are larger.
_STREAMED_CHUNK = 64


def step_key(seed_key: jax.Array, step: jax.Array) -> jax.Array:
    """The raw key of one step of one seed: a function of both, so that resuming needs no state."""
    return fold_raw(fold_raw(seed_key, key_streams.STEP), step)


def network_inputs(
    config: CorruptionConfig,
    part: str,
    resident: Any,
    statistics: Any,
    batch: Batch,
    key: jax.Array,
) -> Batch:
    """A batch of one seed as the network sees it, with all of its inputs; inside ``jit``.

    They are gathered, standardised, and corrupted as configured.

    Args:
      config: the corruptions.
      part: ``"train"`` or ``"test"``.
      resident: modality -> all rows ``[N, ...]``; empty where the batch brings its samples along.
      statistics: modality -> ``(mean, std)`` of the seed.
      batch: rows, labels and samples without the axis of seeds.
      key: PRNG key of the step, for noise.
    """
    inputs = batch.inputs
    if resident:
        inputs = jax.tree.map(lambda x: x[batch.rows], resident)
    inputs = standardize(inputs, statistics)
    inputs = corrupt_inputs(config, part, inputs, batch.present, batch.rows, key)
    return batch._replace(inputs=inputs)


class Stretch(NamedTuple):
    """What a stretch of steps trains on, placed on the devices.

    Attributes:
      batch: of every step, leaves ``[K, S, B, ...]``, of which the first ones count; or, of one
        step that is taken by itself, that step's.
      numbers: int32, of the first step and of the one after the last.
      start: the first of them, as the host knows it.
      length: steps.
    """

    batch: Batch
    numbers: tuple[jax.Array, jax.Array]
    start: int
    length: int


class TrainingBatches:
    """The batches of a run, by step."""

    def __init__(self, problem: Problem, indices: grain.MapDataset) -> None:
        """Of one method.

        Args:
          problem: the data, and where arrays live.
          indices: element t holds the row indices of step t, int32 ``[S, B]``.
        """
        self._problem = problem
        self._indices = indices

    def at(self, step: int) -> Batch:
        """The batch of that step, placed on the devices."""
        with closing(self.start(step, ReadAhead(batches=1, threads=1))) as batches:
            return next(batches)

    def start(self, step: int, ahead: ReadAhead | None = None) -> Generator[Batch, None, None]:
        """The batches of that step and all later ones, read ahead; closing it ends the readers."""
        problem = self._problem
        if not isinstance(problem.data, PreparedData):
            for t in itertools.count(step):
                yield self._place(self._indices[t], None)
        else:
            shape = self._indices[step].shape
            box = problem.placement.box(shape)
            samples = training_batches(
                problem.data.reader,
                self._indices,
                problem.experiment.seeds.values,
                start=step,
                box=box,
                augment=problem.experiment.data.augment,
                ahead=ahead or problem.ahead,
            )
            with closing(samples):
                for t, found in zip(itertools.count(step), samples, strict=False):
                    yield self._place(self._indices[t], found)

    def stretches(
        self, step: int, lengths: Iterable[int], size: int | None
    ) -> Generator[Stretch, None, None]:
        """What stretches of these lengths train on, one after the other from a step on.

        Args:
          step: the first.
          lengths: of the stretches, each at most ``size``.
          size: K, for data in memory; None for steps that are taken one by one.
        """
        placement = self._problem.placement
        with closing(self.start(step)) as single:
            for length in lengths:
                ends = (np.int32(step), np.int32(step + length))
                numbers = placement.put(ends, placement.replicated)
                batch = next(single) if size is None else self._stacked(step, length, size)
                yield Stretch(batch, numbers, step, length)
                step += length

    def _stacked(self, step: int, length: int, size: int) -> Batch:
        """Batches of data in memory; the last one fills up what is left."""
        found = [self._on_host(self._indices[t]) for t in range(step, step + length)]
        found += [found[-1]] * (size - length)
        stacked = jax.tree.map(lambda *arrays: np.stack(arrays), *found)
        return self._problem.placement.put(stacked, self._problem.placement.stacked_indices)

    def _on_host(self, rows: np.ndarray) -> Batch:
        present = {m: found[rows] for m, found in self._problem.presence("train").items()}
        return Batch({}, present, _labels(self._problem, rows, "train"), rows)

    def _place(self, rows: np.ndarray, samples: Batch | None) -> Batch:
        problem, placement, batch = self._problem, self._problem.placement, self._on_host(rows)
        if samples is None:
            return placement.put(batch, placement.indices)
        box = placement.box(rows.shape)
        asked = {m: found[box] for m, found in batch.present.items()}
        present = _presence(problem, "train", asked, samples.present)
        inputs, present = placement.put_box((samples.inputs, present), rows.shape)
        placed = placement.put(batch._replace(present={}), placement.indices)
        return placed._replace(inputs=inputs, present=present)


def evaluation_batches(
    problem: Problem, indices: np.ndarray, part: str = "test", most: int | None = None
) -> Iterator[tuple[Batch, int]]:
    """Rows ``[S, n]`` a few at a time, placed, with how many of them count.

    All batches have one shape. Samples that are the same for all seeds are read once, and have no
    axis of seeds then.

    Args:
      problem: the data, and where arrays live.
      indices: the rows.
      part: ``"train"`` for labels and missing modalities as they are trained on, else ``"test"``.
      most: rows at a time; as memory allows when None.
    """
    streamed = isinstance(problem.data, PreparedData)
    size = min(indices.shape[1], most or (_STREAMED_CHUNK if streamed else _CHUNK))
    samples: Iterator[Batch | None] = itertools.repeat(None)
    shared = shares_samples(problem, indices)
    if isinstance(problem.data, PreparedData):
        count = -(-indices.shape[1] // size)
        padded = np.pad(indices, ((0, 0), (0, count * size - indices.shape[1])), mode="edge")
        parts = padded.reshape(len(indices), count, size).swapaxes(0, 1)
        flat = padded[0] if shared else parts.reshape(-1)
        per_read = size if shared else size * len(indices)
        samples = row_batches(problem.data.reader, flat, per_read, problem.ahead)
    placement = problem.placement
    for start, found in zip(range(0, indices.shape[1], size), samples, strict=False):
        rows = indices[:, start : start + size]
        count = rows.shape[1]
        rows = np.pad(rows, ((0, 0), (0, size - count)), mode="edge")
        asked = {m: present[rows] for m, present in problem.presence(part).items()}
        batch = Batch({}, asked, _labels(problem, rows, part), rows)
        if found is not None:
            batch = _with_samples(problem, part, batch, found, shared)
        inputs = placement.put(batch.inputs, placement.replicated if shared else placement.seeds)
        placed = placement.put(batch._replace(inputs={}), placement.seeds)
        yield placed._replace(inputs=inputs), count


def shares_samples(problem: Problem, indices: np.ndarray) -> bool:
    """Whether samples of these rows are read from disk, and are the same for all seeds."""
    return isinstance(problem.data, PreparedData) and bool((indices == indices[:1]).all())


def _labels(problem: Problem, rows: np.ndarray, part: str) -> np.ndarray:
    if part == "test":
        return problem.true_labels(rows)
    return np.stack([own[r] for own, r in zip(problem.train_labels, rows, strict=True)])


def _presence(
    problem: Problem, part: str, asked: dict[str, np.ndarray], own: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What samples have that were read from disk; empty where none may lack any."""
    if not problem.lacks(part):
        return {}
    return still_present(problem.experiment.corruption, part, asked, own)


def _with_samples(problem: Problem, part: str, batch: Batch, samples: Batch, shared: bool) -> Batch:
    shape = batch.rows.shape

    def by_seed(array: np.ndarray) -> np.ndarray:
        if shared:
            return np.broadcast_to(array, (shape[0], *array.shape))
        return array.reshape(*shape, *array.shape[1:])

    own = {m: by_seed(found) for m, found in samples.present.items()}
    return batch._replace(
        inputs=samples.inputs if shared else jax.tree.map(by_seed, samples.inputs),
        present=_presence(problem, part, batch.present, own),
    )
