"""The order of training rows as a Grain data set of index arrays."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence

import grain
import numpy as np

from masam_jax.data.permutation import seeded_permutation

# Tells the shuffling key of a seed from the keys that drew its split (`splits.py`: 0, 1, 2, 4, 5).
_SHUFFLE = 3


def index_batches(
    train_indices: np.ndarray, *, batch_size: int, seeds: Sequence[int]
) -> grain.MapDataset[np.ndarray]:
    """Batches of row indices for several seeds at once, without end, by step number.

    ``index_batches(...)[t]`` is the batch of step t, int32 ``[S, batch_size]``. Each seed walks
    through its own rows in an order drawn anew for every epoch. Epochs follow each other without a
    gap, so each holds every row exactly once; when ``batch_size`` does not divide n, a batch may
    hold the end of one epoch and the start of the next. Element t is a function of the arguments
    and t alone: resuming needs the step number and nothing else, and ``to_iter_dataset()`` and
    Grain's iterator checkpoints work as usual.

    Features are not touched: small data stay on the device, and the training step gathers them.

    The permutations are not Grain's ``shuffle``: that one reseeds epoch e with ``seed + e``, so the
    second epoch of seed 0 would be the first of seed 1, and the seeds of a comparison would not be
    independent.

    Args:
      train_indices: int ``[S, n]``, the training rows of each seed.
      batch_size: rows in a batch, between 1 and n.
      seeds: S integers >= 0; they draw the orders.

    Raises:
      ValueError: when the shapes disagree, or the batch is empty or larger than the training set.

    Examples:
      >>> import numpy as np
      >>> batches = index_batches(np.array([[10, 11, 12, 13]]), batch_size=2, seeds=[0])
      >>> sorted(np.concatenate([batches[0][0], batches[1][0]]).tolist())
      [10, 11, 12, 13]
    """
    rows = np.asarray(train_indices)
    if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(
            f"train_indices have shape {rows.shape} and dtype {rows.dtype}; "
            "integers [S, n] are needed, one list of rows for each seed."
        )
    if len(rows) != len(seeds) or not len(seeds):
        raise ValueError(
            f"seeds has {len(seeds)} entries and train_indices {len(rows)} lists of rows; "
            "one list for each seed, and at least one, is needed."
        )
    if min(seeds) < 0:
        raise ValueError(f"seeds are {tuple(seeds)}; integers >= 0 are needed.")
    if not 1 <= batch_size <= rows.shape[1]:
        raise ValueError(
            f"batch_size is {batch_size}; with {rows.shape[1]} training rows "
            f"it must lie in 1..{rows.shape[1]}."
        )
    step = _StepIndices(rows.astype(np.int32), batch_size, tuple(int(seed) for seed in seeds))
    return grain.MapDataset.range(sys.maxsize).map(step)


class _StepIndices(grain.transforms.Map):
    """Step number -> the indices of that step, for all seeds in one call.

    One element holds all seeds because Grain's cost is paid by the element.
    """

    def __init__(self, rows: np.ndarray, batch_size: int, seeds: tuple[int, ...]):
        self._rows = rows
        self._batch_size = batch_size
        self._seeds = seeds

    def map(self, element: int) -> np.ndarray:
        """The rows of step ``element``, int32 ``[S, batch_size]``."""
        size = self._rows.shape[1]
        epoch, start = divmod(element * self._batch_size, size)
        order = _epoch_order(self._seeds, epoch, size)[:, start : start + self._batch_size]
        missing = self._batch_size - order.shape[1]
        if missing:
            following = _epoch_order(self._seeds, epoch + 1, size)[:, :missing]
            order = np.concatenate([order, following], axis=1)
        return np.take_along_axis(self._rows, order, axis=1)


# Outside the class, so that it is shared by threads and does not travel to worker processes.
@functools.lru_cache(maxsize=4)
def _epoch_order(seeds: tuple[int, ...], epoch: int, size: int) -> np.ndarray:
    order = np.stack([seeded_permutation(size, seed, _SHUFFLE, epoch) for seed in seeds])
    order.setflags(write=False)
    return order
