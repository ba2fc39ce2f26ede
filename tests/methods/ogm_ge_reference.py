"""OGM-GE in plain float64 NumPy, on the hand-written gradients of ``reference_network``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tests.core.reference_network import (
    Array,
    Batch,
    Parameters,
    fusion_value_and_gradient,
    modalities_of,
)


def modality_logits(parameters: Parameters, batch: Batch) -> dict[str, Array]:
    """z_m = W_m f_m + b / M, the part of each modality in the logits of a concatenating head."""
    names = modalities_of(parameters)
    heads = np.split(parameters["fusion", "w"], len(names), axis=0)
    logits = {}
    for m, head in zip(names, heads, strict=True):
        w1, b1, w2, b2 = (parameters["encoders", m, name] for name in ("w1", "b1", "w2", "b2"))
        features = np.tanh(batch.inputs[m] @ w1 + b1) @ w2 + b2
        logits[m] = features @ head + parameters["fusion", "b"] / len(names)
    return logits


def confidence_of(parameters: Parameters, batch: Batch) -> dict[str, float]:
    """s_m = Σ_i softmax(z_m)_i[y_i]."""
    confidence = {}
    for m, z in modality_logits(parameters, batch).items():
        probabilities = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        confidence[m] = float(probabilities[np.arange(len(z)), batch.labels].sum())
    return confidence


def coefficients_of(confidence: Mapping[str, float], alpha: float) -> dict[str, float]:
    """ρ_m, and k_m = 1 − tanh(α ρ_m) where ρ_m exceeds 1, else 1."""
    coefficients = {}
    for m, own in confidence.items():
        rest = [each for j, each in confidence.items() if j != m]
        rho = own / (sum(rest) / len(rest)) if rest else 1.0
        coefficients[m] = 1 - np.tanh(alpha * rho) if rho > 1 else 1.0
    return coefficients


def step(
    parameters: Parameters,
    batch: Batch,
    draws: Mapping[tuple[str, ...], Array] | None,
    *,
    alpha: float,
    learning_rate: float,
) -> tuple[Parameters, dict[str, float]]:
    """θ ← θ − η (k g + std(g) ξ) on the encoders, plain descent elsewhere; the k beside it."""
    k = coefficients_of(confidence_of(parameters, batch), alpha)
    moved = {}
    for name, g in fusion_value_and_gradient(parameters, batch)[1].items():
        modulated = g
        if name[0] == "encoders":
            modulated = k[name[1]] * g
            if draws is not None:
                mean_square = ((g - g.sum() / g.size) ** 2).sum() / (g.size - 1)
                modulated = modulated + np.sqrt(mean_square) * draws[name]
        moved[name] = parameters[name] - learning_rate * modulated
    return moved, k
