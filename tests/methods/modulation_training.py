"""Training steps of ``tests.core.networks`` with the signals that OGM-GE and AGM read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from masam_jax import multimodal_value_and_grad
from masam_jax.core.losses import cross_entropy
from masam_jax.methods.ogm_ge import ogm_ge
from tests.core.networks import encode, labels_of, late_fusion
from tests.core.reference_network import Batch, Parameters, nested


def _batch_signals(params: Any, batch: Batch) -> dict[str, Any]:
    """Both from z_m = W_m f_m + b / M, which is also the Shapley response of a linear head."""
    names = sorted(params["encoders"])
    heads = jnp.split(params["fusion"]["w"], len(names), axis=0)
    confidence, losses = {}, {}
    for m, head in zip(names, heads, strict=True):
        bias = params["fusion"]["b"][None] / len(names)
        logits = encode(params, m, batch.inputs) @ head + bias
        rows = jnp.arange(len(batch.labels))
        confidence[m] = jnp.sum(jax.nn.softmax(logits)[rows, batch.labels])
        losses[m] = cross_entropy(logits, batch.labels)
    return {"confidence": confidence, "response_losses": losses}


def make_gradient(names: Sequence[str], loss_weights: float) -> Callable[..., Any]:
    """``(params, batch) -> (total loss, gradients, signals)``, not jitted."""
    value_and_grad = multimodal_value_and_grad(late_fusion(names), loss_weights=loss_weights)

    def gradient(params: Any, batch: Batch) -> tuple[Any, Any, Any]:
        losses, grads, signals = value_and_grad(params, batch.inputs, batch.labels)
        return losses.total, grads, signals | _batch_signals(params, batch)

    return gradient


def make_step(tx: Any, names: Sequence[str], loss_weights: float) -> Callable[..., Any]:
    """A jitted step ``(params, state, batch) -> (params, state, total loss)``."""
    gradient = make_gradient(names, loss_weights)

    @jax.jit
    def step(params: Any, state: Any, batch: Batch) -> tuple[Any, Any, Any]:
        loss, grads, signals = gradient(params, batch)
        updates, state = tx.update(grads, state, params, **signals)
        return optax.apply_updates(params, updates), state, loss

    return step


def unit_noise(parameters: Parameters, steps: int, key: jax.Array) -> list[Any]:
    """OGM-GE's draws ξ of every step, from a gradient unlike that of the network."""
    ramp = {name: np.arange(value.size) + 0.0 for name, value in parameters.items()}
    ramp = {name: value.reshape(parameters[name].shape) for name, value in ramp.items()}
    gradients = jax.tree.map(jnp.asarray, nested(ramp))
    tx = ogm_ge(labels_of, key=key)
    equal = dict.fromkeys(gradients["encoders"], 1.0)
    update = jax.jit(lambda state: tx.update(gradients, state, confidence=equal))
    state, draws = tx.init(gradients), []
    for _ in range(steps):
        updates, state = update(state)
        draws.append(
            {
                name: (np.asarray(updates["encoders"][name[1]][name[2]]) - g) / g.std(ddof=1)
                for name, g in ramp.items()
                if name[0] == "encoders"
            }
        )
    return draws
