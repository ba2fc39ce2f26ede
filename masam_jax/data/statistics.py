"""Standardisation from the training rows alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import jax
import numpy as np

Statistics = dict[str, tuple[np.ndarray, np.ndarray]]
"""Modality -> ``(mean, std)``, float32."""

ArrayT = TypeVar("ArrayT", np.ndarray, jax.Array)

# A spread this far below the size of the values is rounding: float32 inputs resolve 6e-8.
_RELATIVE_FLOOR = 1e-6


def feature_statistics(features: Mapping[str, np.ndarray], indices: np.ndarray) -> Statistics:
    """Mean and standard deviation of each modality over the given (training) rows.

    Vectors ``[N, D]`` get one mean and std for each feature, ``[D]``; anything larger, such as
    images ``[N, H, W, C]``, one for each channel (last axis), ``[C]``. Sums run in float64. The std
    is the population's (ddof 0). A feature that does not vary over the rows has std 1, so
    standardising it gives 0 and not NaN.

    Args:
      features: modality -> array ``[N, ...]``.
      indices: training rows, ``[n]``, or ``[S, n]`` for S seeds at once, each with its own rows.

    Returns:
      modality -> ``(mean, std)``, float32, each ``[D]``; with ``[S, n]`` indices each ``[S, D]``.

    Raises:
      ValueError: for no rows, indices that are not integers, or rows out of range.
    """
    indices = np.asarray(indices)
    if indices.ndim not in (1, 2) or not np.issubdtype(indices.dtype, np.integer):
        raise ValueError(
            f"indices have shape {indices.shape} and dtype {indices.dtype}; "
            "integers [n] or [S, n] are needed."
        )
    if indices.size == 0:
        raise ValueError("indices are empty; at least one training row is needed.")
    for modality, array in features.items():
        if indices.min() < 0 or indices.max() >= len(array):
            raise ValueError(
                f"indices run from {indices.min()} to {indices.max()}; "
                f"features[{modality!r}] have rows 0..{len(array) - 1}."
            )
    if indices.ndim == 1:
        return {modality: _moments(array, indices) for modality, array in features.items()}
    return {
        modality: (np.stack(means), np.stack(stds))
        for modality, array in features.items()
        for means, stds in [zip(*(_moments(array, rows) for rows in indices), strict=True)]
    }


def standardize(
    inputs: Mapping[str, ArrayT],
    statistics: Mapping[str, tuple[np.ndarray | jax.Array, np.ndarray | jax.Array]],
) -> dict[str, ArrayT]:
    """``(x - mean) / std`` of each modality, in float32.

    Works on NumPy arrays and, inside ``jit`` and ``vmap``, on jax arrays.

    Args:
      inputs: modality -> array ``[..., D]`` of any real dtype.
      statistics: modality -> ``(mean, std)``, each ``[D]``, from :func:`feature_statistics`.
    """
    return {
        modality: (array.astype(np.float32) - statistics[modality][0]) / statistics[modality][1]
        for modality, array in inputs.items()
    }


def _moments(array: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = array[rows].astype(np.float64)
    axes = tuple(range(values.ndim - 1))
    mean, std = values.mean(axes), values.std(axes)
    std = np.where(std <= _RELATIVE_FLOOR * np.abs(values).max(axes), 1.0, std)
    return mean.astype(np.float32), std.astype(np.float32)
