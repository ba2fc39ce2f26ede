"""Checks of what the corruptions are given, in the same words everywhere."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from masam_jax.core.specs import check_number, unknown


def check_seed(seed: int) -> None:
    """Raises ``ValueError`` unless a seed is an integer >= 0."""
    check_number("seed", seed, "[0, inf)", whole=True)


def check_corrupted_modalities(
    argument: str, named: Iterable[str], modalities: Iterable[str]
) -> None:
    """Raises ``ValueError``, with the nearest name, where ``named`` has one not in ``modalities``.

    Args:
      argument: what to call the one who named them.
      named: names given by the caller.
      modalities: names that there are.
    """
    known = sorted(modalities)
    for name in named:
        if name not in known:
            raise ValueError(f"{argument}: {unknown('modality', name, known)}")


def sorted_rows(rows: np.ndarray, num_rows: int) -> np.ndarray:
    """Row indices in ascending order, int32 ``[n]``, so that the order given is no part of a draw.

    Raises:
      ValueError: not a vector of integers, out of range, or a row twice.
    """
    rows = np.asarray(rows)
    if rows.ndim != 1 or not (np.issubdtype(rows.dtype, np.integer) or rows.size == 0):
        raise ValueError(
            f"rows have shape {rows.shape} and dtype {rows.dtype}; "
            "a vector [n] of integers is needed."
        )
    if rows.size and not (rows.min() >= 0 and rows.max() < num_rows):
        raise ValueError(
            f"rows run from {rows.min()} to {rows.max()}; "
            f"with {num_rows} labels they must lie in 0..{num_rows - 1}."
        )
    ordered = np.unique(rows)
    if len(ordered) < len(rows):
        raise ValueError(f"rows hold {len(rows) - len(ordered)} repeated indices; none may be.")
    return ordered.astype(np.int32)


def checked_labels(labels: np.ndarray) -> np.ndarray:
    """Classes ``[N]`` or zeros and ones ``[N, K]``, as an array.

    Raises:
      ValueError: another shape, classes that are not integers, or other values than 0 and 1.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2:
        wrong = np.count_nonzero((labels != 0) & (labels != 1))
        if wrong:
            raise ValueError(f"labels [N, K] hold {wrong} values other than 0 and 1; none may be.")
    elif labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels have shape {labels.shape} and dtype {labels.dtype}; "
            "integer classes [N], or zeros and ones [N, K], are needed."
        )
    return labels
