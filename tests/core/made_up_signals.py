"""Made-up signals, so that any gradients and losses can be fed to the transformation.

The fusion loss is a quadratic around the clean point with curvature ``CURVATURE``, so that
``∇L_fuse(θ + ε) − ∇L_fuse(θ) = CURVATURE · ε``, and the correction shows ε.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np

from masam_jax import masam

CURVATURE = 0.5
NAMES = ("audio", "text", "video")
SEEDS = st.integers(0, 2**32 - 1)
SELECTIONS = st.sampled_from(["dominant", "all", "text", "random"])
few = hypothesis.settings(max_examples=30)
SHAPES = {"w": (2, 2), "b": (2,)}


def _draw(generator: np.random.Generator, groups: tuple[str, ...]) -> dict[str, Any]:
    return {
        group: {k: generator.standard_normal(shape) for k, shape in SHAPES.items()}
        for group in groups
    }


def vector(tree: Any) -> np.ndarray:
    """All leaves of a tree as one vector."""
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def assert_close(got: Any, want: Any) -> None:
    """Asserts equality up to the rounding of 64 bits."""
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11)


def quadratic_gradient(fusion_grads: Any, params: Any) -> Callable[..., Any]:
    """The fusion gradient function that goes with ``fusion_grads`` at ``params``."""

    def fusion_grad_fn(moved: Any, modality: str | None = None) -> Any:
        del modality
        return jax.tree.map(lambda g, p, q: g + CURVATURE * (q - p), fusion_grads, params, moved)

    return fusion_grad_fn


@functools.cache
def _compiled(names: tuple[str, ...], options: tuple[tuple[str, Any], ...]) -> Any:
    tx = masam({**{m: m for m in names}, "other": "other"}, **dict(options))

    @jax.jit
    def update(state: Any, params: Any, grads: Any, signals: dict[str, Any]) -> Any:
        state = tx.init(params) if state is None else state
        gradient = quadratic_gradient(signals["fusion_grads"], params)
        return tx.update(grads, state, params, fusion_grad_fn=gradient, **signals)

    return update


class World:
    """Parameters, gradients and losses drawn from a seed; its fields may be changed at will."""

    def __init__(self, seed: int, names: tuple[str, ...] = NAMES) -> None:
        generator = np.random.default_rng(seed)
        self.names = names
        groups = (*names, "other")
        self.params, self.grads, self.fusion, self.unimodal = (
            _draw(generator, groups) for _ in range(4)
        )
        self.losses = {m: np.asarray(generator.uniform(0.1, 3.0)) for m in names}
        self.present = {m: np.asarray(True) for m in names}
        self.held_out: dict[str, Any] | None = None

    @property
    def signals(self) -> dict[str, Any]:
        """What ``update`` reads beside gradients and parameters, without the gradient function."""
        return {
            "fusion_grads": self.fusion,
            "unimodal_grads": self.unimodal,
            "unimodal_losses": self.losses,
            "present": self.present,
            "held_out_losses": self.held_out,
        }

    def step(self, state: Any = None, **options: Any) -> tuple[Any, Any]:
        """Updates and state after one step of ``masam(labels, **options)``, compiled."""
        params, grads, signals = jax.tree.map(jnp.asarray, (self.params, self.grads, self.signals))
        return _compiled(self.names, tuple(options.items()))(state, params, grads, signals)

    def perturbation(self, updates: Any, group: str) -> np.ndarray:
        """The ε of a group that the correction in ``updates`` shows."""
        return (vector(updates[group]) - vector(self.grads[group])) / CURVATURE

    def cosine(self, m: str) -> float:
        """γ_m, from NumPy."""
        left, right = vector(self.fusion[m]), vector(self.unimodal[m])
        return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))
