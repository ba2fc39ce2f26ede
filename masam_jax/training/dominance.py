"""Counting, on the device and over every step, which modality was dominant, and why."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from masam_jax.core.masam import MasamState
from masam_jax.core.scores import ModalityScores
from masam_jax.methods.m_sam import MSamState


class ChoiceCounts(NamedTuple):
    """Counts of steps, int32 scalars; shares are of the steps that were counted.

    Attributes:
      pairs: steps with a dominant modality after a step with one.
      switches: those of them whose dominant modality is another one.
      compared: steps with a score of some modality; None where there are no scores.
      agreements: those of them on which the modality of the largest score is that of the largest
        alignment γ; None likewise.
    """

    pairs: jax.Array
    switches: jax.Array
    compared: jax.Array | None
    agreements: jax.Array | None


class DominanceState(NamedTuple):
    """The state of the wrapped transformation, and the counts.

    Attributes:
      inner: the wrapped transformation's state.
      counts: int32[M], steps in which each modality, in sorted order, was dominant; ``None`` for a
        transformation that has no such notion.
      steps: int32 scalar, steps taken, with or without a dominant modality; ``None`` likewise.
      choices: further counts; ``None`` likewise.
    """

    inner: Any
    counts: jax.Array | None
    steps: jax.Array | None
    choices: ChoiceCounts | None


def dominant_index(opt_state: Any) -> jax.Array:
    """The index, int32, of the dominant modality of the last step; -1 for none.

    As `masam_metrics` has it under ``jit``, which ``jax_disable_jit`` turns off.
    """
    (state,) = _choosing(opt_state)
    return state.dominant


def count_dominance(
    tx: optax.GradientTransformationExtraArgs, modalities: Sequence[str]
) -> optax.GradientTransformationExtraArgs:
    """Wraps a transformation so that its state counts each modality's steps of dominance.

    Args:
      tx: a transformation with or without one ``MasamState`` or ``MSamState`` inside.
      modalities: their names, in any order.
    """
    total = len(modalities)

    def init_fn(params: Any) -> DominanceState:
        inner = tx.init(params)
        if len(_choosing(inner)) != 1:
            return DominanceState(inner, None, None, None)
        zero = jnp.int32(0)
        scored = zero if _scores(inner) is not None else None
        choices = ChoiceCounts(zero, zero, scored, scored)
        return DominanceState(inner, jnp.zeros(total, jnp.int32), zero, choices)

    def update_fn(
        updates: Any, state: DominanceState, params: Any = None, **extra: Any
    ) -> tuple[Any, DominanceState]:
        updates, inner = tx.update(updates, state.inner, params, **extra)
        if state.counts is None or state.steps is None or state.choices is None:
            return updates, DominanceState(inner, None, None, None)
        dominant = dominant_index(inner)
        # A step without a dominant modality has index -1, which is none of these.
        chosen = jnp.arange(total, dtype=jnp.int32) == dominant
        counts = state.counts + chosen.astype(jnp.int32)
        choices = _count_switch(state.choices, dominant_index(state.inner), dominant)
        scores = _scores(inner)
        if scores is not None:
            choices = _count_agreement(choices, scores, extra.get("present") or {})
        return updates, DominanceState(inner, counts, state.steps + jnp.int32(1), choices)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _count_switch(counts: ChoiceCounts, before: jax.Array, now: jax.Array) -> ChoiceCounts:
    is_pair = (before >= 0) & (now >= 0)
    return counts._replace(
        pairs=counts.pairs + is_pair.astype(jnp.int32),
        switches=counts.switches + (is_pair & (before != now)).astype(jnp.int32),
    )


def _count_agreement(
    counts: ChoiceCounts, scores: ModalityScores, present: Mapping[str, Any]
) -> ChoiceCounts:
    """Of the modalities that the batch has; what another one has is of an earlier step."""
    names = sorted(scores.score)
    here = jnp.stack([jnp.asarray(present.get(m, True), bool) for m in names])
    first, second = (
        jnp.argmax(jnp.where(here, jnp.stack([values[m] for m in names]), -jnp.inf))
        for values in (scores.score, scores.alignment)
    )
    is_compared = jnp.any(here)
    return counts._replace(
        compared=_plus(counts.compared, is_compared),
        agreements=_plus(counts.agreements, is_compared & (first == second)),
    )


def _plus(count: jax.Array | None, flag: jax.Array) -> jax.Array | None:
    return None if count is None else count + flag.astype(jnp.int32)


def _choosing(opt_state: Any) -> list[Any]:
    """The states in it that choose a modality."""
    nodes = jax.tree.leaves(opt_state, is_leaf=_chooses)
    return [node for node in nodes if _chooses(node)]


def _chooses(node: Any) -> bool:
    return isinstance(node, MasamState | MSamState)


def _scores(opt_state: Any) -> ModalityScores | None:
    (state,) = _choosing(opt_state)
    return state.scores if isinstance(state, MasamState) else None
