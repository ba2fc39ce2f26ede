"""The samples of a split, one after the other, as a run's configuration has them at test time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from masam_jax.config import Experiment
from masam_jax.data.batch import Batch
from masam_jax.data.on_disk import Data, PreparedData
from masam_jax.data.splits import split_digest
from masam_jax.data.streaming import ReadAhead, row_batches
from masam_jax.training.corruption import Corruption, corrupt, still_present


class SplitRows(NamedTuple):
    """Rows that are the same for all seeds.

    Attributes:
      rows: their numbers ``[n]``.
      digests: seed -> digest of its splits.
      corruption: what the configuration takes away.
    """

    rows: np.ndarray
    digests: dict[str, str]
    corruption: Corruption


def split_rows(experiment: Experiment, data: Data, split: str, seeds: Sequence[int]) -> SplitRows:
    """The rows of a split.

    Args:
      experiment: says how the data are split.
      data: the data.
      split: ``train``, ``validation`` or ``test``.
      seeds: training seeds.

    Raises:
      ValueError: the data are too few, or seeds have different rows.
    """
    config = experiment.data
    splits = [
        data.split(
            seed=seed,
            split_seed=config.split_seed,
            train_size=config.train_size,
            validation_size=config.validation_size,
            test_size=config.test_size,
        )
        for seed in seeds
    ]
    corruption = corrupt(experiment.corruption, data, splits, seeds)
    first, *others = (getattr(part, split) for part in corruption.splits)
    if any(not np.array_equal(rows, first) for rows in others):
        raise ValueError(
            f"the {split} samples differ between the seeds {', '.join(map(str, seeds))}: load the"
            f" predictor of one of them, with seeds=({seeds[0]},)."
        )
    digests = [split_digest(part) for part in corruption.splits]
    return SplitRows(first, dict(zip(map(str, seeds), digests, strict=True)), corruption)


def split_samples(
    experiment: Experiment, data: Data, found: SplitRows, size: int, ahead: ReadAhead
) -> Iterator[tuple[Batch, int]]:
    """``size`` samples at a time, and how many count; the last ones are filled up.

    Args:
      experiment: says what samples lack at test time.
      data: the data.
      found: the rows.
      size: samples at a time.
      ahead: how samples are read from disk.
    """
    count = len(found.rows)
    padded = np.pad(found.rows, (0, -count % size), mode="edge")
    asked = found.corruption.present.get("test", {})
    read = row_batches(data.reader, padded, size, ahead) if isinstance(data, PreparedData) else None
    for start in range(0, count, size):
        rows = padded[start : start + size]
        samples = _rows_of(data, rows) if read is None else next(read)
        taken = {m: has[rows] for m, has in asked.items()}
        has = still_present(experiment.corruption, "test", taken, samples.present)
        yield samples._replace(present=has, rows=rows), min(size, count - start)


def _rows_of(data: Any, rows: np.ndarray) -> Batch:
    everywhere = np.ones(len(rows), np.bool_)
    return Batch(
        jax.tree.map(lambda x: x[rows], dict(data.features)),
        {m: data.present[m][rows] if m in data.present else everywhere for m in data.modalities},
    )
