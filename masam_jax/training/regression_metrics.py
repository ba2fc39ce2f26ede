"""What estimates of targets are measured in."""

from __future__ import annotations

import numpy as np


def r2(targets: np.ndarray, estimates: np.ndarray) -> float:
    r"""The coefficient of determination $1 - \sum (y - \hat y)^2 / \sum (y - \bar y)^2$.

    1 of perfect estimates, 0 of the mean, below 0 of what is worse than that; of K targets, the
    mean of theirs. NaN where a target has one value alone, or there is no row.

    Args:
      targets: ``[n, K]``.
      estimates: likewise.
    """
    with np.errstate(all="ignore"):
        missed = np.sum((targets - estimates) ** 2, axis=0)
        spread = np.sum((targets - targets.sum(axis=0) / len(targets)) ** 2, axis=0)
        return float(np.mean(1 - missed / np.where(spread > 0, spread, np.nan)))


def mae(targets: np.ndarray, estimates: np.ndarray) -> float:
    """The mean absolute error, in the targets' units, of targets and estimates ``[n, K]``."""
    with np.errstate(all="ignore"):
        return float(np.mean(np.abs(targets - estimates)))


def rmse(targets: np.ndarray, estimates: np.ndarray) -> float:
    """The root of the mean squared error, in the targets' units, likewise."""
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.mean((targets - estimates) ** 2)))
