"""Training on a part of the labels."""

from __future__ import annotations

import numpy as np

from masam_jax.core.specs import check_number
from masam_jax.data.corruption.argument_checks import check_seed, checked_labels, sorted_rows
from masam_jax.data.corruption.stratified_order import stratified_order
from masam_jax.data.permutation import seeded_permutation

# A stream of the seed of its own, as those of `label_noise.py`.
_LABELLED = 22


def labelled_rows(
    labels: np.ndarray, rows: np.ndarray, *, fraction: float, seed: int
) -> np.ndarray:
    """A share of the training rows, ``round(fraction n)`` of them, to train on alone.

    With one seed, the rows of a fraction are among those of every larger one. Classes ``[N]`` are
    stratified, with at least one row of each class that occurs in ``rows``, even where that takes
    more rows than the fraction. Labels ``[N, K]`` have no classes to stratify by: their rows are
    uniformly random, at least one.

    Args:
      labels: integer classes ``[N]``, or zeros and ones ``[N, K]``.
      rows: the training rows, in any order.
      fraction: in (0, 1].
      seed: integer >= 0.

    Returns:
      int32 ``[k]``, sorted.

    Raises:
      ValueError: a fraction out of range, no rows, or rows that are repeated or out of range.

    Examples:
      >>> import numpy as np
      >>> labels = np.array([0] * 8 + [1] * 4)
      >>> np.bincount(labels[labelled_rows(labels, np.arange(12), fraction=0.25, seed=0)]).tolist()
      [2, 1]
    """
    labels = checked_labels(labels)
    rows = sorted_rows(rows, len(labels))
    check_seed(seed)
    check_number("fraction", fraction, "(0, 1]")
    if not len(rows):
        raise ValueError("rows are empty; at least one training row is needed.")
    if labels.ndim == 1:
        order = stratified_order(labels, rows, seed, _LABELLED, every_class_first=True)
        least = len(np.unique(labels[rows]))
    else:
        order = rows[seeded_permutation(len(rows), seed, _LABELLED)]
        least = 1
    return np.sort(order[: max(least, round(fraction * len(rows)))])
