"""AGM in plain float64 NumPy, on the hand-written gradients of ``reference_network``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tests.core.reference_network import (
    Array,
    Batch,
    Parameters,
    fusion_value_and_gradient,
    modalities_of,
)


def _features(parameters: Parameters, batch: Batch, m: str) -> Array:
    w1, b1, w2, b2 = (parameters["encoders", m, name] for name in ("w1", "b1", "w2", "b2"))
    return np.tanh(batch.inputs[m] @ w1 + b1) @ w2 + b2


def response_losses(parameters: Parameters, batch: Batch) -> dict[str, float]:
    """s_m = CE(φ_m), φ the Shapley values of the logits with the features outside S masked.

    The empty set is worth 0, so that the responses add up to the logits.
    """
    names = modalities_of(parameters)
    features = {m: _features(parameters, batch, m) for m in names}

    def worth(subset: frozenset[str]) -> Array:
        if not subset:
            return np.zeros((len(batch.labels), len(parameters["fusion", "b"])))
        shown = [features[m] if m in subset else np.zeros_like(features[m]) for m in names]
        return np.concatenate(shown, axis=1) @ parameters["fusion", "w"] + parameters["fusion", "b"]

    losses = {}
    for m in names:
        rest = [j for j in names if j != m]
        response = np.zeros_like(worth(frozenset()))
        for size in range(len(rest) + 1):
            weight = math.factorial(size) * math.factorial(len(rest) - size)
            for chosen in map(frozenset, itertools.combinations(rest, size)):
                gain = worth(chosen | {m}) - worth(chosen)
                response += weight / math.factorial(len(names)) * gain
        logarithms = response - np.log(np.exp(response).sum(axis=1, keepdims=True))
        losses[m] = float(-logarithms[np.arange(len(response)), batch.labels].mean())
    return losses


def _ratio(losses: Mapping[str, float], m: str) -> float:
    """How much less than the others' m's loss is: exp of the mean of their differences."""
    rest = [loss - losses[m] for j, loss in losses.items() if j != m]
    return math.exp(sum(rest) / len(rest)) if rest else 1.0


@dataclass
class AgmReference:
    """The rule, one step a call; all that was seen is kept, and averaged anew."""

    alpha: float
    limit: float = 7.0
    reference: str = "mean_loss"
    losses: list[Mapping[str, float]] = field(default_factory=list)

    def coefficients(self, losses: Mapping[str, float]) -> dict[str, float]:
        """κ_m = exp(α min(τ_m - r_m, 7)), with τ from the steps before."""
        coefficients = {}
        for m in losses:
            expected = 1.0
            if self.losses and self.reference == "mean_loss":
                means = {j: float(np.mean([s[j] for s in self.losses])) for j in losses}
                expected = _ratio(means, m)
            elif self.losses:
                expected = float(np.mean([_ratio(s, m) for s in self.losses]))
            gap = min(expected - _ratio(losses, m), self.limit)
            coefficients[m] = math.exp(self.alpha * gap)
        self.losses.append(losses)
        return coefficients

    def step(
        self, parameters: Parameters, batch: Batch, learning_rate: float
    ) -> tuple[Parameters, dict[str, float]]:
        """θ ← θ - η κ g on the encoders, plain descent elsewhere; the κ beside it."""
        kappa = self.coefficients(response_losses(parameters, batch))
        _, gradient = fusion_value_and_gradient(parameters, batch)
        moved = {
            name: parameters[name]
            - learning_rate * (kappa[name[1]] if name[0] == "encoders" else 1.0) * g
            for name, g in gradient.items()
        }
        return moved, kappa
