"""Online G-Blend in float64 NumPy, with one trial for every loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.core.reference_network import (
    Batch,
    Parameters,
    fusion_value_and_gradient,
    modalities_of,
    unimodal_value_and_gradient,
)

SMALLEST = 1e-3


def reference_weights(
    before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]
) -> dict[str, float]:
    """``w_k`` of one model from ``{k: (loss on fit samples, loss on held-out ones)}``."""
    shares = {}
    for k in before:
        gain = before[k][1] - after[k][1]
        overfitting = (after[k][1] - after[k][0]) - (before[k][1] - before[k][0])
        shares[k] = abs(gain) / max(abs(overfitting), SMALLEST) ** 2
    total = sum(shares.values())
    return {k: share / total for k, share in shares.items()}


def value_and_gradient(parameters: Parameters, batch: Batch, k: str) -> tuple[float, Parameters]:
    """Loss k, "fusion" or a modality's, and its gradient in every parameter."""
    if k == "fusion":
        return fusion_value_and_gradient(parameters, batch)
    return unimodal_value_and_gradient(parameters, batch, k)


def descend(
    parameters: Parameters, batch: Batch, weights: dict[str, float], rate: float
) -> Parameters:
    """One step of gradient descent on the weighted sum of losses."""
    gradients = {k: value_and_gradient(parameters, batch, k)[1] for k in weights}
    return {
        name: value - rate * sum(w * gradients[k][name] for k, w in weights.items())
        for name, value in parameters.items()
    }


def measure(parameters: Parameters, fit: Batch, held_out: Batch, k: str) -> tuple[float, float]:
    """Loss k on both parts of the training samples."""
    first, _ = value_and_gradient(parameters, fit, k)
    second, _ = value_and_gradient(parameters, held_out, k)
    return first, second


def train(
    parameters: Parameters,
    batches: Sequence[Batch],
    fit: Batch,
    held_out: Batch,
    *,
    super_epoch: int,
    trial: int,
    steps: int,
    rate: float,
) -> list[tuple[Parameters, dict[str, float]]]:
    """Parameters and weights after every step."""
    names = ("fusion", *modalities_of(parameters))
    weights: dict[str, float] = {}
    course = []
    for step in range(steps):
        if step % super_epoch == 0:
            before, after = {}, {}
            for k in names:
                tried = parameters
                for t in range(step, step + trial):
                    tried = descend(tried, batches[t], {k: 1.0}, rate)
                before[k] = measure(parameters, fit, held_out, k)
                after[k] = measure(tried, fit, held_out, k)
            weights = reference_weights(before, after)
        parameters = descend(parameters, batches[step], weights, rate)
        course.append((parameters, weights))
    assert np.isfinite(list(weights.values())).all()
    return course
