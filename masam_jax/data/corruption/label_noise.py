"""Wrong training labels."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np

from masam_jax.core.specs import check_choice, check_number
from masam_jax.data.corruption.argument_checks import check_seed, checked_labels, sorted_rows
from masam_jax.data.corruption.stratified_order import stratified_order
from masam_jax.data.permutation import seeded_permutation

NoiseKind = Literal["symmetric", "asymmetric"]

_HIGHEST_RATE = 0.8
# Streams of the seed of their own: those of `splits.py` and `row_order.py` have lower numbers.
_WHICH, _TO_WHAT = 20, 21


class NoisyLabels(NamedTuple):
    """Labels of which some are wrong, and which.

    Attributes:
      labels: a copy of all labels; int32 ``[N]``, or ``[N, K]`` in the dtype that was given.
      flipped: int32 ``[k]``, sorted: the rows whose label, or any of whose K labels, changed.
    """

    labels: np.ndarray
    flipped: np.ndarray


def noisy_labels(
    labels: np.ndarray,
    rows: np.ndarray,
    *,
    num_classes: int,
    kind: NoiseKind,
    rate: float,
    seed: int,
) -> NoisyLabels:
    """Labels with an exact share of wrong ones among ``rows``; all others stay as they are.

    ====================  ===================================  =================================
    ``kind``              classes ``[N]``                      zeros and ones ``[N, K]``
    ====================  ===================================  =================================
    ``"symmetric"``       ``round(rate n)`` of the n rows,     ``round(rate n K)`` of the n K
                          stratified by class, each to a       entries, each to its opposite
                          class uniform over the other C - 1
    ``"asymmetric"``      the same rows, class c to            ``round(rate P)`` of the P
                          ``(c + 1) mod C`` (pair flip)        ones, each to zero
    ====================  ===================================  =================================

    With one seed, what is wrong at a rate is wrong in the same way at every higher rate. A rate
    counts labels that really differ; where a paper draws the new class from all C, its rate r is
    ``r (C - 1) / C`` here.

    Args:
      labels: integer classes ``[N]`` in ``[0, num_classes)``, or zeros and ones ``[N, K]`` of any
        real dtype.
      rows: the training rows, in any order.
      num_classes: C, or K.
      kind: ``"symmetric"`` or ``"asymmetric"``.
      rate: share of wrong labels, in [0, 0.8].
      seed: integer >= 0.

    Raises:
      ValueError: an unknown kind, a rate or label out of range, labels that do not fit
        ``num_classes``, or rows that are repeated or out of range.

    Source: Patrini et al., "Making Deep Neural Networks Robust to Label Noise", CVPR 2017, for both
      kinds. Its asymmetric noise maps look-alike classes of each data set; the pair flip is the
      form that needs no such list (Han et al., "Co-teaching", NeurIPS 2018).

    Examples:
      >>> import numpy as np
      >>> labels = np.array([0, 0, 1, 1, 2, 2])
      >>> noisy = noisy_labels(
      ...     labels, np.arange(6), num_classes=3, kind="asymmetric", rate=0.5, seed=0
      ... )
      >>> len(noisy.flipped), sorted(noisy.labels[noisy.flipped].tolist())
      (3, [0, 1, 2])
    """
    labels = checked_labels(labels)
    rows = sorted_rows(rows, len(labels))
    check_seed(seed)
    check_choice("kind", kind, get_args(NoiseKind))
    check_number("rate", rate, f"[0, {_HIGHEST_RATE}]")
    if labels.ndim == 2:
        if labels.shape[1] != num_classes:
            raise ValueError(
                f"num_classes is {num_classes}; labels [N, K] have K = {labels.shape[1]}."
            )
        return _noisy_entries(labels, rows, kind, rate, seed)
    if num_classes < 2:
        raise ValueError(f"num_classes is {num_classes}; at least 2 are needed.")
    if labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
        raise ValueError(
            f"labels run from {labels.min()} to {labels.max()}; with num_classes={num_classes} "
            f"they must lie in 0..{num_classes - 1}."
        )
    return _noisy_classes(labels.astype(np.int32), rows, num_classes, kind, rate, seed)


def _noisy_classes(
    labels: np.ndarray, rows: np.ndarray, num_classes: int, kind: NoiseKind, rate: float, seed: int
) -> NoisyLabels:
    order = stratified_order(labels, rows, seed, _WHICH)
    flipped = np.sort(order[: round(rate * len(rows))])
    step = np.ones(len(rows), np.int32)
    if kind == "symmetric":
        # Drawn for every row, so that a row's wrong class is the same at every rate.
        stream = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(_TO_WHAT,)))
        step += (stream.random_raw(len(rows)) % np.uint64(num_classes - 1)).astype(np.int32)
    noisy = labels.copy()
    chosen = np.searchsorted(rows, flipped)
    noisy[flipped] = (labels[flipped] + step[chosen]) % num_classes
    return NoisyLabels(noisy, flipped)


def _noisy_entries(
    labels: np.ndarray, rows: np.ndarray, kind: NoiseKind, rate: float, seed: int
) -> NoisyLabels:
    entries = np.arange(len(rows) * labels.shape[1])
    given = labels[rows].ravel()
    if kind == "asymmetric":
        entries = entries[given == 1]
    order = seeded_permutation(len(entries), seed, _WHICH)
    chosen = entries[order[: round(rate * len(entries))]]
    given[chosen] = 1 - given[chosen]
    noisy = labels.copy()
    noisy[rows] = given.reshape(len(rows), -1)
    return NoisyLabels(noisy, np.unique(rows[chosen // labels.shape[1]]))
