"""An order of training rows in which every class comes equally often."""

from __future__ import annotations

import functools
import sys
from collections.abc import Sequence

import grain
import numpy as np

from masam_jax.data.permutation import seeded_permutation

# Tell the two orders from each other, and from what else is drawn from a seed (`row_order.py`: 3).
_CLASSES, _ROWS = 8, 9


def balanced_batches(
    train_indices: np.ndarray, labels: np.ndarray, *, batch_size: int, seeds: Sequence[int]
) -> grain.MapDataset[np.ndarray]:
    """Batches of row indices as `index_batches` has them, with as many rows of every class.

    Rows follow each other without end in rounds: a round holds one row of each class that the
    seed's rows have, in an order drawn anew. The rows of a class take their turn in an order of
    their own, drawn anew when all of them had it: a rare class repeats sooner, and none of its rows
    comes twice before the others came once. Element t is a function of the arguments and t alone.

    Args:
      train_indices: int ``[S, n]``, the training rows of each seed.
      labels: int ``[S, n]``, their classes.
      batch_size: rows in a batch; a batch of less than a round leaves classes to the next.
      seeds: S integers >= 0; they draw the orders.

    Examples:
      >>> import numpy as np
      >>> rows, labels = np.array([[10, 11, 12, 13]]), np.array([[0, 0, 0, 1]])
      >>> batches = balanced_batches(rows, labels, batch_size=6, seeds=[0])
      >>> sorted(batches[0][0].tolist())
      [10, 11, 12, 13, 13, 13]
    """
    orders = tuple(
        _Order(int(seed), tuple(own[classes == each] for each in np.unique(classes)))
        for seed, own, classes in zip(seeds, train_indices.astype(np.int32), labels, strict=True)
    )
    return grain.MapDataset.range(sys.maxsize).map(_StepRows(orders, batch_size))


class _Order:
    """The endless order of one seed."""

    def __init__(self, seed: int, rows: tuple[np.ndarray, ...]) -> None:
        self._seed = seed
        self._rows = rows

    def at(self, place: int) -> int:
        """The row at that place."""
        turn, within = divmod(place, len(self._rows))
        each = int(_permutation(len(self._rows), self._seed, _CLASSES, turn)[within])
        rows = self._rows[each]
        epoch, position = divmod(turn, len(rows))
        return int(rows[_permutation(len(rows), self._seed, _ROWS, each, epoch)[position]])


class _StepRows(grain.transforms.Map):
    """Step number -> the rows of that step, for all seeds in one call."""

    def __init__(self, orders: tuple[_Order, ...], batch_size: int) -> None:
        self._orders = orders
        self._batch_size = batch_size

    def map(self, element: int) -> np.ndarray:
        """The rows of step ``element``, int32 ``[S, batch_size]``."""
        places = range(element * self._batch_size, (element + 1) * self._batch_size)
        return np.array([[order.at(p) for p in places] for order in self._orders], np.int32)


# Outside the classes, so that it is shared by threads and does not travel to worker processes.
@functools.lru_cache(maxsize=4096)
def _permutation(size: int, *key: int) -> np.ndarray:
    found = seeded_permutation(size, *key)
    found.setflags(write=False)
    return found
