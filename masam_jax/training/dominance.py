"""Counting, on the device, how often each modality was dominant."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from masam_jax.core.masam import MasamState
from masam_jax.core.metrics import has_masam_metrics


class DominanceState(NamedTuple):
    """The state of the wrapped transformation, and the counts.

    Attributes:
      inner: the wrapped transformation's state.
      counts: int32[M], steps in which each modality, in sorted order, was dominant; ``None`` for a
        transformation that has no such notion.
      steps: int32 scalar, steps taken, with or without a dominant modality; ``None`` likewise.
    """

    inner: Any
    counts: jax.Array | None
    steps: jax.Array | None


def dominant_index(opt_state: Any) -> jax.Array:
    """The index, int32, of the dominant modality of the last step; -1 for none.

    As `masam_metrics` has it under ``jit``, which ``jax_disable_jit`` turns off.
    """
    (state,) = (
        node
        for node in jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, MasamState))
        if isinstance(node, MasamState)
    )
    return state.dominant


def count_dominance(
    tx: optax.GradientTransformationExtraArgs, modalities: Sequence[str]
) -> optax.GradientTransformationExtraArgs:
    """Wraps a transformation so that its state counts each modality's steps of dominance.

    Args:
      tx: a transformation with or without a ``MasamState`` inside.
      modalities: their names, in any order.
    """
    total = len(modalities)

    def init_fn(params: Any) -> DominanceState:
        inner = tx.init(params)
        if not has_masam_metrics(inner):
            return DominanceState(inner, None, None)
        return DominanceState(inner, jnp.zeros(total, jnp.int32), jnp.int32(0))

    def update_fn(
        updates: Any, state: DominanceState, params: Any = None, **extra: Any
    ) -> tuple[Any, DominanceState]:
        updates, inner = tx.update(updates, state.inner, params, **extra)
        if state.counts is None or state.steps is None:
            return updates, DominanceState(inner, None, None)
        # A step without a dominant modality has index -1, which is none of these.
        chosen = jnp.arange(total, dtype=jnp.int32) == dominant_index(inner)
        counts = state.counts + chosen.astype(jnp.int32)
        return updates, DominanceState(inner, counts, state.steps + jnp.int32(1))

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)
