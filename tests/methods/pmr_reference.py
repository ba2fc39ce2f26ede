"""PMR in float64 NumPy from the paper's equations 6 to 13, its gradients derived by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.core import reference_network
from tests.core.reference_network import Array, Batch, Parameters, modalities_of


def encode(parameters: Parameters, m: str, x: Array) -> tuple[Array, Array]:
    """Hidden units and features ``[B, H]``."""
    hidden = np.tanh(x @ parameters["encoders", m, "w1"] + parameters["encoders", m, "b1"])
    return hidden, hidden @ parameters["encoders", m, "w2"] + parameters["encoders", m, "b2"]


def distances(features: Array, prototypes: Array) -> Array:
    """Euclidean, ``[B, C]``, one pair at a time."""
    return np.array([[np.sqrt(((z - c) ** 2).sum()) for c in prototypes] for z in features])


def probabilities(features: Array, prototypes: Array) -> Array:
    """Equation 7."""
    exponentials = np.exp(-distances(features, prototypes))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def score(features: Array, prototypes: Array, labels: Array) -> float:
    """The sums in equation 8."""
    p = probabilities(features, prototypes)
    return float(sum(p[i, y] for i, y in enumerate(labels)))


def coefficients(scores: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Equation 11 as (β, γ) of each modality, against the mean of the others."""
    result = {}
    for m, own in scores.items():
        others = [s for n, s in scores.items() if n != m]
        ratio = own / np.mean(others) if others else 1.0
        if ratio < 1:
            result[m] = (min(1 / ratio - 1, 1.0), 0.0)
        else:
            result[m] = (0.0, min(ratio - 1, 1.0))
    return result


def cross_entropy(features: Array, prototypes: Array, labels: Array) -> tuple[float, Array]:
    """Equation 9, and its gradient in the features: ``Σ_k (1[k = y] - p_k) (z - c_k) / d_k``."""
    p, d = probabilities(features, prototypes), distances(features, prototypes)
    size = len(labels)
    value = float(np.mean([-np.log(p[i, y]) for i, y in enumerate(labels)]))
    gradient = np.zeros_like(features)
    for i, y in enumerate(labels):
        for k, c in enumerate(prototypes):
            gradient[i] += (float(k == y) - p[i, k]) * (features[i] - c) / d[i, k] / size
    return value, gradient


def entropy(features: Array, prototypes: Array) -> tuple[float, Array]:
    """H of equation 13, and its gradient: ``Σ_k p_k (log p_k + H_i) (z - c_k) / d_k``."""
    p, d = probabilities(features, prototypes), distances(features, prototypes)
    each = -(p * np.log(p)).sum(axis=1)
    gradient = np.zeros_like(features)
    for i, h in enumerate(each):
        for k, c in enumerate(prototypes):
            slope = p[i, k] * (np.log(p[i, k]) + h)
            gradient[i] += slope * (features[i] - c) / d[i, k] / len(features)
    return float(each.mean()), gradient


class ReferencePmr:
    """A run of PMR: its prototypes, and what it minimises."""

    def __init__(
        self, *, alpha: float, mu: float, momentum: float, epoch: int, regularized: int
    ) -> None:
        self.alpha, self.mu, self.momentum = alpha, mu, momentum
        self.epoch, self.regularized = epoch, regularized
        self.prototypes: dict[str, Array] = {}
        self.steps = 0
        self._seen: list[tuple[dict[str, Array], Array]] = []

    def value_and_gradient(self, parameters: Parameters, batch: Batch) -> tuple[float, Any]:
        """The fusion loss with both terms, and its gradient in every parameter."""
        value, gradient = reference_network.fusion_value_and_gradient(parameters, batch)
        encoded = {m: encode(parameters, m, batch.inputs[m]) for m in modalities_of(parameters)}
        features = {m: z for m, (_, z) in encoded.items()}
        self._seen.append((features, batch.labels))
        if not self.prototypes:
            return value, gradient
        early = self.steps // self.epoch < self.regularized
        scores = {m: score(z, self.prototypes[m], batch.labels) for m, z in features.items()}
        for m, (beta, gamma) in coefficients(scores).items():
            pce, pce_gradient = cross_entropy(features[m], self.prototypes[m], batch.labels)
            h, h_gradient = entropy(features[m], self.prototypes[m])
            regularization = self.mu * gamma if early else 0.0
            value += self.alpha * beta * pce - regularization * h
            slope = self.alpha * beta * pce_gradient - regularization * h_gradient
            hidden = encoded[m][0]
            inner = (slope @ parameters["encoders", m, "w2"].T) * (1 - hidden**2)
            for name, part in {
                "w1": batch.inputs[m].T @ inner,
                "b1": inner.sum(axis=0),
                "w2": hidden.T @ slope,
                "b2": slope.sum(axis=0),
            }.items():
                gradient["encoders", m, name] = gradient["encoders", m, name] + part
        return value, gradient

    def advance(self) -> None:
        """Equations 6 and 12 at the end of an epoch of steps; every class has been seen in it."""
        self.steps += 1
        if self.steps % self.epoch:
            return
        labels = np.concatenate([y for _, y in self._seen])
        for m in self._seen[0][0]:
            z = np.concatenate([features[m] for features, _ in self._seen])
            new = np.stack([z[labels == k].mean(axis=0) for k in range(labels.max() + 1)])
            old = self.prototypes.get(m)
            mixed = new if old is None else self.momentum * old + (1 - self.momentum) * new
            self.prototypes[m] = mixed
        self._seen = []
