"""AUG in plain float64 NumPy with linear encoders: boosting, its gradients, and growth.

Written from the paper's equations alone; shares no code with ``masam_jax``. Layers are lists that
get longer, as in a program without static shapes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tests.core.reference import Momentum
from tests.core.reference_network import Batch, Parameters
from tests.methods.phased_training import Array, softmax

KERNEL, BIAS = ("method", "head", "kernel"), ("method", "head", "bias")


def own(m: str, part: str, name: str) -> tuple[str, ...]:
    """The key of a layer's array of modality m."""
    return ("method", "modalities", m, part, name)


@dataclass
class Reference:
    """The rule; the state is below ``steps``."""

    parameters: Parameters
    names: list[str]
    residual: float
    period: int
    band: float
    max_layers: int
    steps_per_epoch: int
    steps: int
    learning_rate: float = 0.05
    t: int = 0
    layers: dict[str, int] = field(default_factory=dict)
    confidence: dict[str, float] = field(default_factory=dict)
    grown: list[tuple[int, str]] = field(default_factory=list)
    optimizers: dict[str, Momentum] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.layers = dict.fromkeys(self.names, 0)
        self.confidence = dict.fromkeys(self.names, 0.0)
        self.optimizers = {m: Momentum(self.learning_rate) for m in [*self.names, "other"]}

    def step(self, batch: Batch) -> None:
        """One update for each modality in turn, then the course of the epoch."""
        for m in self.names:
            gradient = self._gradient(batch, m)
            encoder = ("encoders", m, "kernel")
            updates = self.optimizers[m]({encoder: gradient.pop(encoder)})
            updates |= self.optimizers["other"](gradient)
            self.parameters = self.parameters | {
                k: self.parameters[k] + u for k, u in updates.items()
            }
        self.t += 1
        epoch, rest = divmod(self.t, self.steps_per_epoch)
        if rest == 0:
            if (epoch == 1 or epoch % self.period == 0) and self.t < self.steps:
                self._compare()
            self.confidence = dict.fromkeys(self.names, 0.0)

    def _compare(self) -> None:
        scores = self.confidence
        weak = min(self.names, key=lambda m: scores[m])
        strong = max(self.names, key=lambda m: scores[m])
        first, second = sorted([weak, strong])
        ratio = scores[first] / scores[second]
        outside = ratio > 1 + self.band or ratio < 1 - self.band
        if outside and self.layers[weak] < self.max_layers:
            self.layers[weak] += 1
            self.grown.append((self.t, weak))

    def logits(self, m: str, x: Array) -> list[Array]:
        """The logits of each layer that modality m has, the first its own."""
        return [h @ self.parameters[KERNEL] + self.parameters[BIAS] for h in self._hidden(m, x)[1]]

    def _weights(self, m: str) -> list[tuple[Array, Array]]:
        own_layer = (
            self.parameters[own(m, "layer", "kernel")],
            self.parameters[own(m, "layer", "bias")],
        )
        kernels = self.parameters[own(m, "added", "kernel")]
        biases = self.parameters[own(m, "added", "bias")]
        return [own_layer, *((kernels[k], biases[k]) for k in range(self.layers[m]))]

    def _hidden(self, m: str, x: Array) -> tuple[Array, list[Array]]:
        features = x @ self.parameters["encoders", m, "kernel"]
        return features, [np.maximum(features @ w + b, 0) for w, b in self._weights(m)]

    def _gradient(self, batch: Batch, m: str) -> Parameters:
        """Of modality m's loss, in its encoder and in all that belongs to no modality."""
        size, classes = len(batch.labels), len(self.parameters[BIAS])
        one_hot = np.eye(classes)[batch.labels]
        features, hidden = self._hidden(m, batch.inputs[m])
        each = self.logits(m, batch.inputs[m])
        total = sum(each)
        self.confidence[m] += (softmax(total) * one_hot).sum()

        # d/dz of CE(z, t) with a target t that need not sum to 1: (Σ t) softmax(z) − t.
        at_total = (softmax(total) - one_hot) / size
        at_layer = [at_total for _ in each]
        if len(each) > 1:
            previous = sum(each[:-1])
            at_previous = (softmax(previous) - one_hot) / size
            at_layer = [at_total + at_previous for _ in each]
            target = one_hot * softmax(previous)
            weight = target.sum(axis=1, keepdims=True)
            at_layer[-1] = (
                at_total
                + (softmax(each[-1]) - one_hot) / size
                - self.residual * (weight * softmax(each[-1]) - target) / size
            )

        others = {key for key in self.parameters if key[0] == "method"}
        gradient = {key: np.zeros_like(self.parameters[key]) for key in others}
        at_features = np.zeros_like(features)
        for k, (h, dz, (w, _)) in enumerate(zip(hidden, at_layer, self._weights(m), strict=True)):
            gradient[KERNEL] += h.T @ dz
            gradient[BIAS] += dz.sum(axis=0)
            dh = (dz @ self.parameters[KERNEL].T) * (h > 0)
            if k == 0:
                gradient[own(m, "layer", "kernel")] += features.T @ dh
                gradient[own(m, "layer", "bias")] += dh.sum(axis=0)
            else:
                gradient[own(m, "added", "kernel")][k - 1] += features.T @ dh
                gradient[own(m, "added", "bias")][k - 1] += dh.sum(axis=0)
            at_features += dh @ w.T
        gradient["encoders", m, "kernel"] = batch.inputs[m].T @ at_features
        return gradient
