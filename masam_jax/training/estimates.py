"""Estimates of targets by all seeds on a split, and what is measured on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from masam_jax.training.regression_metrics import mae, r2, rmse


class Estimates(NamedTuple):
    """What each seed's network says of each row where there are targets; NumPy arrays.

    Attributes:
      labels: float64 ``[S, n, K]``, the targets, in their own units.
      values: float64 ``[S, n, K]``, what the fusion head estimates, likewise.
      loss: float32[S, n], the error that is trained on, of standardised targets.
      unimodal: ``{m: float64 [S, n, K]}``, what each modality's own head estimates.
    """

    labels: Any
    values: Any
    loss: Any
    unimodal: dict[str, Any]


def measure_estimates(found: Estimates) -> dict[str, Any]:
    """Metrics of each seed.

    Returns:
      ``{"r2": [S], "mae": [S], "rmse": [S], "fusion_loss": [S], "unimodal_r2": {m: [S]}}``,
      float64; MAE and RMSE in the targets' units, the loss of standardised targets, averaged over
      rows.
    """

    def each_seed(metric: Callable[[Any, Any], float], values: np.ndarray) -> np.ndarray:
        return np.array([metric(*both) for both in zip(found.labels, values, strict=True)])

    return {
        "r2": each_seed(r2, found.values),
        "mae": each_seed(mae, found.values),
        "rmse": each_seed(rmse, found.values),
        "fusion_loss": np.mean(found.loss.astype(np.float64), axis=1),
        "unimodal_r2": {m: each_seed(r2, values) for m, values in found.unimodal.items()},
    }
