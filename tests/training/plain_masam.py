"""Steps of MASAM and SAM on encoders with batch norm and dropout, as the equations say.

Gradients are ``jax.grad`` of plain losses; what is decided with them is NumPy, float64. Nothing of
``masam_jax`` but the network's forward pass is used.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

ALPHA, BETA = 0.8, 0.91
# The stream of a seed's key that a step draws from.
_STEP = 3


@functools.cache
def _gradients(network: Any) -> Any:
    """``(params, statistics, inputs, labels, key) -> (losses, gradients, statistics)``.

    Losses are by modality, that of fusion under ``""``; each has its gradient.
    """

    def losses(params, statistics, inputs, labels, key):
        encoded = {
            m: network.encode_training(params, m, inputs[m], statistics, key)
            for m in network.modalities
        }
        features = {m: each for m, (each, _) in encoded.items()}
        every = {"": network.fuse(params, features), **network.unimodal(params, features)}

        def loss(logits):
            log_p = jax.nn.log_softmax(logits)
            return -jnp.mean(jnp.take_along_axis(log_p, labels[:, None], axis=1))

        return {m: loss(z) for m, z in every.items()}, {m: s for m, (_, s) in encoded.items()}

    def gradients(params, *rest):
        found, statistics = losses(params, *rest)
        grads = {m: jax.grad(lambda p, m=m: losses(p, *rest)[0][m])(params) for m in found}
        return found, grads, statistics

    return jax.jit(gradients)


class PlainSteps:
    """One seed, one step a call, with plain gradient descent.

    ``method`` is ``"dominant"``, ``"all"``, ``"sam"`` or ``"none"``; with ``fresh_mask`` the
    perturbed point has a dropout mask of its own, which is a mistake.
    """

    def __init__(
        self, network: Any, method: str, rho: float, learning_rate: float, *, fresh_mask=False
    ) -> None:
        self._method, self._rho, self._rate = method, rho, learning_rate
        self._fresh_mask = fresh_mask
        self._names = network.modalities
        self._average: dict[str, float] = {}
        self._previous: dict[str, float] = {}
        self.chosen: list[str] = []

        self._gradients = _gradients(network)

    def __call__(self, params, statistics, inputs, labels, seed: int, step: int):
        """``(params, statistics)`` after a step."""
        key = jax.random.fold_in(jax.random.fold_in(jax.random.PRNGKey(seed), _STEP), step)
        batch = (statistics, inputs, labels)
        losses, clean, after = self._gradients(params, *batch, key)
        if self._fresh_mask:
            key = jax.random.fold_in(key, 1)
        total = jax.tree.map(lambda *each: sum(each), *clean.values())
        if self._method == "sam":
            _, there, _ = self._gradients(self._shift(params, total, None, self._rho), *batch, key)
            gradient = jax.tree.map(lambda *each: sum(each), *there.values())
        else:
            gradient = total
            point, perturbed = params, self._choose(losses, clean)
            for m, gamma in perturbed.items():
                point = self._shift(point, clean[""], m, self._rho * gamma)
            _, there, _ = self._gradients(point, *batch, key)
            for m in perturbed:
                # ∇L_fuse at the perturbed point, ∇L_m at the clean one.
                mixed = jax.tree.map(
                    lambda *each: sum(each),
                    there[""]["encoders"][m],
                    *(clean[n]["encoders"][m] for n in self._names),
                )
                gradient = {**gradient, "encoders": {**gradient["encoders"], m: mixed}}
        moved = jax.tree.map(lambda p, g: p - self._rate * g, params, gradient)
        return moved, {m: s for m, s in after.items() if s}

    def _choose(self, losses, clean) -> dict[str, float]:
        score, gamma = {}, {}
        for m in self._names:
            loss = float(losses[m])
            if m not in self._average:
                self._average[m], decay = loss, 0.0
            else:
                self._average[m] = BETA * self._average[m] + (1 - BETA) * loss
                decay = max(0.0, self._previous[m] - self._average[m])
            self._previous[m] = loss
            left, right = (_vector(clean[n]["encoders"][m]) for n in ("", m))
            gamma[m] = left @ right / (np.linalg.norm(left) * np.linalg.norm(right))
            score[m] = ALPHA * decay + (1 - ALPHA) * gamma[m]
        if self._method == "none":
            return {}
        dominant = max(self._names, key=lambda m: score[m])
        self.chosen.append(dominant)
        return gamma if self._method == "all" else {dominant: gamma[dominant]}

    def _shift(self, params, gradient, m: str | None, radius: float):
        part = (lambda tree: tree) if m is None else (lambda tree: tree["encoders"][m])
        factor = radius / np.linalg.norm(_vector(part(gradient)))
        moved = jax.tree.map(lambda p, g: p + np.float32(factor) * g, part(params), part(gradient))
        return moved if m is None else {**params, "encoders": {**params["encoders"], m: moved}}


def _vector(tree) -> np.ndarray:
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(tree)])
