"""Targets of regression as they are trained on: standardised by each seed's training samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from masam_jax.config.errors import RunError
from masam_jax.training.storage.sealed_files import read_arrays, write_arrays

_FILE = "targets.npz"


class TargetScale(NamedTuple):
    """Mean and standard deviation of each seed's training targets, float64 ``[S, K]``.

    Networks see standardised targets and estimate such, so that losses, ρ and learning rates have
    the scale that they have elsewhere; what is measured and written is in the targets' own units.

    Attributes:
      mean: the means.
      std: the standard deviations, above 0.
    """

    mean: Any
    std: Any

    def standardized(self, targets: np.ndarray) -> np.ndarray:
        """Targets ``[S, n, K]`` in their own units as they are trained on, float32."""
        return ((targets - self.mean[:, None]) / self.std[:, None]).astype(np.float32)

    def in_units(self, estimates: Any) -> np.ndarray:
        """Estimates ``[S, n, K]`` of a network in the targets' own units, float64."""
        return np.asarray(estimates, np.float64) * self.std[:, None] + self.mean[:, None]


def target_scale(targets: np.ndarray, train: np.ndarray) -> TargetScale:
    """The scale of the training rows' targets.

    Args:
      targets: float64 ``[N, K]``, of all rows.
      train: row indices ``[S, n]``.

    Raises:
      ValueError: the training rows of a seed all have the same target.
    """
    chosen = targets[train]
    scale = TargetScale(chosen.mean(axis=1), chosen.std(axis=1))
    same = (chosen == chosen[:, :1]).all(axis=1)
    if same.any():
        value = chosen[:, 0][same][0]
        raise ValueError(
            f"all {train.shape[1]} training samples have the target {value:g}; regression needs"
            " values that differ"
        )
    return scale


def write_target_scale(root: Path, scale: TargetScale) -> None:
    """Writes ``targets.npz``.

    Raises:
      OSError: it cannot be written.
    """
    write_arrays(root / _FILE, scale._asdict())


def read_target_scale(root: Path) -> TargetScale:
    """What `write_target_scale` wrote.

    Raises:
      RunError: the file is damaged or missing.
    """
    path = root / _FILE
    arrays = read_arrays(path)
    shapes = [(array.dtype, array.ndim, array.shape) for array in arrays.values()]
    is_whole = set(arrays) == set(TargetScale._fields) and shapes[0] == shapes[1]
    if not is_whole or shapes[0][:2] != (np.dtype(np.float64), 2):
        raise RunError(f"{path} is damaged: mean and std, float64 [seeds, targets], are needed")
    scale = TargetScale(**arrays)
    if not (np.isfinite([scale.mean, scale.std]).all() and (scale.std > 0).all()):
        raise RunError(f"{path} is damaged: it has numbers that are not finite, or a std of 0")
    return scale
