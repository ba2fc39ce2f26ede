"""The network of ``reference_network`` in JAX, as a plain loss function and as a ``LateFusion``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax

from masam_jax import LateFusion

Params = Any


def encode(params: Params, modality: str, inputs: dict[str, jax.Array]) -> jax.Array:
    weights = params["encoders"][modality]
    hidden = jnp.tanh(inputs[modality] @ weights["w1"] + weights["b1"][None])
    return hidden @ weights["w2"] + weights["b2"][None]


def objective(
    params: Params, features: dict[str, jax.Array], inputs: Any, labels: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    del inputs

    def cross_entropy(head: dict[str, jax.Array], x: jax.Array) -> jax.Array:
        logits = x @ head["w"] + head["b"][None]
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))

    joint = jnp.concatenate([features[m] for m in sorted(features)], axis=1)
    unimodal = {m: cross_entropy(params["heads"][m], z) for m, z in features.items()}
    return cross_entropy(params["fusion"], joint), unimodal


def loss_fn(
    params: Params, inputs: dict[str, jax.Array], labels: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    features = {m: encode(params, m, inputs) for m in params["encoders"]}
    return objective(params, features, inputs, labels)


def late_fusion(modalities: Sequence[str]) -> LateFusion:
    def encoder(modality: str) -> Callable[..., jax.Array]:
        return lambda params, inputs, labels: encode(params, modality, inputs)

    return LateFusion(encoders={m: encoder(m) for m in modalities}, objective=objective)


def labels_of(params: Params) -> Params:
    """Labels encoder m's leaves m and the rest "other", as a tree prefix of the parameters."""
    return {
        "encoders": {m: m for m in params["encoders"]},
        **{group: "other" for group in params if group != "encoders"},
    }
