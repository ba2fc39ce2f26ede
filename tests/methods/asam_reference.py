"""ASAM in float64 NumPy: the paper's algorithm 1 with the element-wise operator."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.core.reference_network import (
    Batch,
    Parameters,
    fusion_value_and_gradient,
    modalities_of,
    unimodal_value_and_gradient,
)


def total_gradient(
    parameters: Parameters, batch: Batch, weights: Mapping[str, float]
) -> Parameters:
    """Of the fusion loss and the weighted unimodal ones."""
    total = dict(fusion_value_and_gradient(parameters, batch)[1])
    for m in modalities_of(parameters):
        for key, gradient in unimodal_value_and_gradient(parameters, batch, m)[1].items():
            total[key] = total[key] + weights[m] * gradient
    return total


def _normalization(parameters: Parameters, eta: float) -> Parameters:
    """T: |w| + η for the matrices, 1 for the vectors, which are this network's biases."""
    return {
        key: np.abs(w) + eta if key[-1].startswith("w") else np.ones_like(w)
        for key, w in parameters.items()
    }


def reference_step(
    parameters: Parameters,
    batch: Batch,
    *,
    rho: float,
    eta: float,
    weights: Mapping[str, float],
    rate: float,
) -> Parameters:
    """One step of gradient descent on the gradient at w + ρ T² g / ‖T g‖."""
    gradient = total_gradient(parameters, batch, weights)
    operator = _normalization(parameters, eta)
    norm = np.sqrt(sum(((operator[key] * g) ** 2).sum() for key, g in gradient.items()))
    moved = {
        key: w + rho * operator[key] ** 2 * gradient[key] / norm for key, w in parameters.items()
    }
    perturbed = total_gradient(moved, batch, weights)
    return {key: w - rate * perturbed[key] for key, w in parameters.items()}
