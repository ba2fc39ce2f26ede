"""MMPareto in plain float64 NumPy, from the paper's rule, on hand-written gradients."""

from __future__ import annotations

import numpy as np

from tests.core.reference_network import (
    Array,
    Batch,
    Parameters,
    fusion_value_and_gradient,
    modalities_of,
    unimodal_value_and_gradient,
)


def join(fusion: Array, unimodal: Array, gamma: float = 1.5) -> Array:
    """``g`` of one encoder, its two gradients given as vectors."""
    if fusion @ unimodal > 0:
        weight = 0.5
    else:
        difference = fusion - unimodal
        square = difference @ difference
        weight = float(np.clip(-(unimodal @ difference) / square, 0, 1)) if square > 0 else 0.5
    h = 2 * weight * fusion + 2 * (1 - weight) * unimodal
    length = np.linalg.norm(h)
    if length == 0:
        return h
    return gamma * h * max(1.0, float(np.linalg.norm(fusion + unimodal) / length))


def reference_gradient(
    parameters: Parameters, batch: Batch, weight: float
) -> tuple[Parameters, dict[str, float]]:
    """The gradient for the base optimizer, and each encoder's cosine."""
    names, cosines = modalities_of(parameters), {}
    _, fusion = fusion_value_and_gradient(parameters, batch)
    unimodal = {m: unimodal_value_and_gradient(parameters, batch, m)[1] for m in names}
    gradient = {k: g + weight * sum(unimodal[m][k] for m in names) for k, g in fusion.items()}
    for m in names:
        keys = [key for key in fusion if key[:2] == ("encoders", m)]
        f, u = (np.concatenate([g[k].ravel() for k in keys]) for g in (fusion, unimodal[m]))
        cosines[m] = f @ u / np.linalg.norm(f) / np.linalg.norm(u)
        joined, start = join(f, u), 0
        for key in keys:
            size = fusion[key].size
            gradient[key] = joined[start : start + size].reshape(fusion[key].shape)
            start += size
    return gradient, cosines
