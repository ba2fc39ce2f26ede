"""A small late-fusion network in float64 NumPy, its gradients derived by hand.

Parameters are flat dictionaries ``{(group, ..., name): array}``, so that a partition is a test on
the key: ``("encoders", m, ...)`` belongs to modality ``m``, all the rest to ``other``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray
Key = tuple[str, ...]
Parameters = dict[Key, Array]


class Batch(NamedTuple):
    """Inputs ``{modality: [B, D_m]}`` and integer labels ``[B]``."""

    inputs: dict[str, Array]
    labels: Array


# z_m = tanh(x_m W1 + b1) W2 + b2, a fusion head on [z_1 .. z_M], and a linear head on each z_m.


def initialise(
    seed: int,
    dimensions: Mapping[str, int],
    *,
    hidden: int = 5,
    features: int = 4,
    classes: int = 3,
) -> Parameters:
    """Draws the network's parameters, biases included, from a normal distribution."""
    generator = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        return 0.7 * generator.standard_normal(shape)

    parameters: Parameters = {}
    for modality, dimension in sorted(dimensions.items()):
        parameters["encoders", modality, "w1"] = normal(dimension, hidden)
        parameters["encoders", modality, "b1"] = normal(hidden)
        parameters["encoders", modality, "w2"] = normal(hidden, features)
        parameters["encoders", modality, "b2"] = normal(features)
        parameters["heads", modality, "w"] = normal(features, classes)
        parameters["heads", modality, "b"] = normal(classes)
    parameters["fusion", "w"] = normal(features * len(dimensions), classes)
    parameters["fusion", "b"] = normal(classes)
    return parameters


def draw_batches(
    seed: int, dimensions: Mapping[str, int], *, steps: int, size: int = 6, classes: int = 3
) -> list[Batch]:
    """Draws batches in which every modality says a little about the label, and much is noise."""
    generator = np.random.default_rng(seed)
    centres = {m: generator.standard_normal((classes, d)) for m, d in sorted(dimensions.items())}
    batches = []
    for _ in range(steps):
        labels = generator.integers(0, classes, size)
        inputs = {
            m: 0.7 * centres[m][labels] + generator.standard_normal((size, d))
            for m, d in sorted(dimensions.items())
        }
        batches.append(Batch(inputs, labels.astype(np.int32)))
    return batches


def modalities_of(parameters: Parameters) -> list[str]:
    """Returns the names of the modalities that have an encoder, in sorted order."""
    return sorted({key[1] for key in parameters if key[0] == "encoders"})


def _encode(parameters: Parameters, m: str, x: Array) -> tuple[Array, Array]:
    hidden = np.tanh(x @ parameters["encoders", m, "w1"] + parameters["encoders", m, "b1"])
    return hidden, hidden @ parameters["encoders", m, "w2"] + parameters["encoders", m, "b2"]


def _cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """Mean softmax cross-entropy and its gradient in the logits: (softmax − one-hot) / B."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(labels))
    gradient = np.exp(log_probabilities)
    gradient[rows, labels] -= 1.0
    return float(-log_probabilities[rows, labels].mean()), gradient / len(labels)


def _encoder_gradients(
    parameters: Parameters, m: str, x: Array, hidden: Array, feature_gradient: Array
) -> Parameters:
    """Pulls dL/dz_m back to the encoder: tanh' = 1 − tanh²."""
    hidden_gradient = (feature_gradient @ parameters["encoders", m, "w2"].T) * (1.0 - hidden**2)
    return {
        ("encoders", m, "w1"): x.T @ hidden_gradient,
        ("encoders", m, "b1"): hidden_gradient.sum(axis=0),
        ("encoders", m, "w2"): hidden.T @ feature_gradient,
        ("encoders", m, "b2"): feature_gradient.sum(axis=0),
    }


def fusion_value_and_gradient(parameters: Parameters, batch: Batch) -> tuple[float, Parameters]:
    """Returns L_fuse and its gradient in every parameter (zero in the unimodal heads)."""
    names = modalities_of(parameters)
    encoded = {m: _encode(parameters, m, batch.inputs[m]) for m in names}
    joint = np.concatenate([encoded[m][1] for m in names], axis=1)
    logits = joint @ parameters["fusion", "w"] + parameters["fusion", "b"]
    loss, logit_gradient = _cross_entropy(logits, batch.labels)
    gradient = {key: np.zeros_like(value) for key, value in parameters.items()}
    gradient["fusion", "w"] = joint.T @ logit_gradient
    gradient["fusion", "b"] = logit_gradient.sum(axis=0)
    joint_gradient = logit_gradient @ parameters["fusion", "w"].T
    for m, part in zip(names, np.split(joint_gradient, len(names), axis=1), strict=True):
        gradient |= _encoder_gradients(parameters, m, batch.inputs[m], encoded[m][0], part)
    return loss, gradient


def unimodal_value_and_gradient(
    parameters: Parameters, batch: Batch, m: str
) -> tuple[float, Parameters]:
    """Returns L_m and its gradient in every parameter (zero outside encoder m and head m)."""
    hidden, features = _encode(parameters, m, batch.inputs[m])
    logits = features @ parameters["heads", m, "w"] + parameters["heads", m, "b"]
    loss, logit_gradient = _cross_entropy(logits, batch.labels)
    gradient = {key: np.zeros_like(value) for key, value in parameters.items()}
    gradient["heads", m, "w"] = features.T @ logit_gradient
    gradient["heads", m, "b"] = logit_gradient.sum(axis=0)
    feature_gradient = logit_gradient @ parameters["heads", m, "w"].T
    return loss, gradient | _encoder_gradients(
        parameters, m, batch.inputs[m], hidden, feature_gradient
    )


def feature_gradients(
    parameters: Parameters, batch: Batch
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Returns the gradients of L_fuse, and of each L_m, in the features z_m, ``[B, H]``."""
    names = modalities_of(parameters)
    features = {m: _encode(parameters, m, batch.inputs[m])[1] for m in names}
    joint = np.concatenate([features[m] for m in names], axis=1)
    logits = joint @ parameters["fusion", "w"] + parameters["fusion", "b"]
    _, logit_gradient = _cross_entropy(logits, batch.labels)
    parts = np.split(logit_gradient @ parameters["fusion", "w"].T, len(names), axis=1)
    unimodal = {}
    for m in names:
        own = features[m] @ parameters["heads", m, "w"] + parameters["heads", m, "b"]
        unimodal[m] = _cross_entropy(own, batch.labels)[1] @ parameters["heads", m, "w"].T
    return dict(zip(names, parts, strict=True)), unimodal


def nested(parameters: Parameters) -> dict[str, Any]:
    """Turns the flat dictionary into nested ones, as the library's side of a test uses them."""
    tree: dict[str, Any] = {}
    for key, value in parameters.items():
        node = tree
        for name in key[:-1]:
            node = node.setdefault(name, {})
        node[key[-1]] = value
    return tree
