"""SAM in float64 NumPy: the gradient at the point ρ uphill, over all parameters as one vector."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.core.reference_network import Batch, Parameters
from tests.methods.asam_reference import total_gradient


def reference_step(
    parameters: Parameters, batch: Batch, *, rho: float, weights: Mapping[str, float], rate: float
) -> Parameters:
    """One step of gradient descent on the gradient at θ + ρ g / ‖g‖."""
    gradient = total_gradient(parameters, batch, weights)
    norm = np.sqrt(sum((g**2).sum() for g in gradient.values()))
    moved = {key: w + rho * gradient[key] / norm for key, w in parameters.items()}
    perturbed = total_gradient(moved, batch, weights)
    return {key: w - rate * perturbed[key] for key, w in parameters.items()}
