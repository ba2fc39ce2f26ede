"""Properties of the rule that hold for any gradients and losses, drawn by hypothesis.

The signals are made up: the fusion loss is a quadratic around the clean point with curvature
``CURVATURE``, so that ``∇L_fuse(θ + ε) − ∇L_fuse(θ) = CURVATURE · ε`` and the correction shows ε.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import masam, masam_metrics, multimodal_value_and_grad, sam
from tests.contract import assert_same, jit

CURVATURE = 0.5
NAMES = ("audio", "text", "video")
SIZES = {"w": 3, "b": 2}

settings = hypothesis.settings(max_examples=25)


class Signals(dict):
    """One step's made-up signals: what ``update`` is given beside gradients and parameters."""


def _tree(generator: np.random.Generator, names: tuple[str, ...]) -> dict[str, Any]:
    groups = (*names, "other")
    return {m: {k: jnp.asarray(generator.standard_normal(n)) for k, n in SIZES.items()} for m in groups}


def _labels(params: Any) -> Any:
    return {group: group for group in params}


def _leaf_vector(tree: Any) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)] or [np.zeros(0)])


@functools.cache
def _update(names: tuple[str, ...], options: tuple[tuple[str, Any], ...]) -> Callable[..., Any]:
    """A compiled ``(state, params, grads, fusion, unimodal, losses, present) -> …``."""
    tx = masam({**{m: m for m in names}, "other": "other"}, **dict(options))

    @jit
    def update(state: Any, params: Any, grads: Any, fusion: Any, unimodal: Any, losses: Any, present: Any) -> Any:
        def fusion_grad_fn(moved: Any, modality: str | None = None) -> Any:
            return jax.tree.map(lambda g, p, q: g + CURVATURE * (q - p), fusion, params, moved)

        return tx.update(
            grads,
            tx.init(params) if state is None else state,
            params,
            fusion_grads=fusion,
            unimodal_grads=unimodal,
            unimodal_losses=losses,
            fusion_grad_fn=fusion_grad_fn,
            present=present,
        )

    return update


class World:
    """Random parameters, gradients and losses from one seed, and the step that they make."""

    def __init__(self, seed: int, names: tuple[str, ...] = NAMES) -> None:
        generator = np.random.default_rng(seed)
        self.names = names
        self.params = _tree(generator, names)
        self.grads = _tree(generator, names)
        self.fusion = _tree(generator, names)
        self.unimodal = _tree(generator, names)
        self.losses = {m: jnp.asarray(generator.uniform(0.1, 3.0)) for m in names}
        self.present = dict.fromkeys(names, True)

    def step(self, state: Any = None, **options: Any) -> tuple[dict[str, np.ndarray], Any]:
        """The correction of every group, and the state after the step."""
        arguments = (self.params, self.grads, self.fusion, self.unimodal, self.losses, self.present)
        updates, state = _update(self.names, tuple(options.items()))(state, *arguments)
        self.updates = updates
        correction = {
            group: _leaf_vector(updates[group]) - _leaf_vector(self.grads[group]) for group in updates
        }
        return correction, state
