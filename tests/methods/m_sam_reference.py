"""M-SAM in float64 NumPy: Shapley values from masked features, and one encoder perturbed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from tests.core.reference_network import (
    Batch,
    Parameters,
    fusion_value_and_gradient,
    modalities_of,
    unimodal_value_and_gradient,
)


def value(parameters: Parameters, batch: Batch, present: frozenset[str]) -> float:
    """v(S): minus the cross-entropy of the fusion logits, features outside S being zero."""
    parts = []
    for m in modalities_of(parameters):
        encoder = {key[2]: array for key, array in parameters.items() if key[:2] == ("encoders", m)}
        hidden = np.tanh(batch.inputs[m] @ encoder["w1"] + encoder["b1"])
        features = hidden @ encoder["w2"] + encoder["b2"]
        parts.append(features if m in present else np.zeros_like(features))
    logits = np.concatenate(parts, axis=1) @ parameters["fusion", "w"] + parameters["fusion", "b"]
    chosen = logits[np.arange(len(batch.labels)), batch.labels]
    return float(np.mean(chosen - np.log(np.exp(logits).sum(axis=1))))


def shapley(parameters: Parameters, batch: Batch) -> dict[str, float]:
    """The mean over all orders of arrival of what a modality adds to v when it arrives."""
    names = modalities_of(parameters)
    orders = list(itertools.permutations(names))
    totals = dict.fromkeys(names, 0.0)
    for order in orders:
        for place, m in enumerate(order):
            before = frozenset(order[:place])
            totals[m] += value(parameters, batch, before | {m}) - value(parameters, batch, before)
    return {m: total / len(orders) for m, total in totals.items()}


def reference_step(
    parameters: Parameters,
    batch: Batch,
    values: Mapping[str, float],
    *,
    rho: float,
    weights: Mapping[str, float],
    rate: float,
) -> tuple[Parameters, str]:
    """One step of gradient descent, and the dominant modality."""
    largest = max(values.values())
    dominant = min(m for m, each in values.items() if each == largest)
    clean = fusion_value_and_gradient(parameters, batch)[1]
    mine = [key for key in parameters if key[:2] == ("encoders", dominant)]
    norm = np.linalg.norm(np.concatenate([clean[key].ravel() for key in mine]))
    moved = dict(parameters)
    for key in mine:
        moved[key] = parameters[key] + rho * clean[key] / norm
    perturbed = fusion_value_and_gradient(moved, batch)[1]
    gradient = {key: (perturbed if key in mine else clean)[key] for key in parameters}
    for m in modalities_of(parameters):
        for key, unimodal in unimodal_value_and_gradient(parameters, batch, m)[1].items():
            gradient[key] = gradient[key] + weights[m] * unimodal
    return {key: w - rate * gradient[key] for key, w in parameters.items()}, dominant
