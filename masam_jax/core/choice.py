"""Which modality a step perturbs, or how much of each: by score, by loss, or at random."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp

from masam_jax.core.random_keys import split_raw
from masam_jax.core.route import CLEAN

BY_VALUE = ("dominant", "weakest", "lowest_loss", "highest_loss", "held_out")
"""Selections of the one modality whose value is the largest."""

CHOOSING = (*BY_VALUE, "random")
"""Selections of one modality, anew at every step."""

BY_SCORE = ("dominant", "weakest", "soft")
"""Selections that read the score."""

TOGETHER = ("all", "soft")
"""Selections of several at once."""

SELECTIONS = (*CHOOSING, *TOGETHER)


class ChoiceMemory(NamedTuple):
    """What options of the choice keep from step to step; None without the option.

    Attributes:
      mean_squares: of ``decay="standardized"``, see `standardize_scores`.
      smoothed: ``{m: S_m}``, see `smooth`.
      last: int32 scalar, the index that was chosen last, -1 for none: of ``hysteresis``.
    """

    mean_squares: dict[str, jax.Array] | None = None
    smoothed: dict[str, jax.Array] | None = None
    last: jax.Array | None = None


def initial_memory(
    modalities: Sequence[str], dtype: Any, *, standardized: bool, smoothed: bool, hysteresis: bool
) -> ChoiceMemory | None:
    """The memory before the first step; None where no option asks for any."""
    if not (standardized or smoothed or hysteresis):
        return None

    def zeros(names: Sequence[str]) -> dict[str, jax.Array]:
        return {name: jnp.zeros((), dtype) for name in names}

    return ChoiceMemory(
        zeros(("decay", "alignment")) if standardized else None,
        zeros(modalities) if smoothed else None,
        jnp.full((), CLEAN, jnp.int32) if hysteresis else None,
    )


class Basis(NamedTuple):
    """What a choice may go by, ``{modality: scalar}``.

    Attributes:
      scores: APS, smoothed or not.
      losses: the unimodal losses of the batch.
      present: which modalities take part in the step.
      held_out_losses: the unimodal losses of held-out samples, which ``"held_out"`` goes by.
    """

    scores: Mapping[str, jax.Array]
    losses: Mapping[str, Any]
    present: Mapping[str, jax.Array]
    held_out_losses: Mapping[str, Any] | None = None


def choose(
    select: str,
    modalities: Sequence[str],
    basis: Basis,
    key: chex.PRNGKey,
    *,
    chosen: int | None = None,
    last: jax.Array | None = None,
    hysteresis: Any = None,
) -> tuple[jax.Array, jax.Array]:
    """The index of the modality to perturb, -1 for none and for several; the next step's key.

    Args:
      select: one of `SELECTIONS`, or a modality.
      modalities: their names, sorted; ties go to the first.
      basis: what to go by.
      key: the key of this step.
      chosen: the caller's choice, None for none.
      last: the index that was chosen last.
      hysteresis: by how much another one's value must exceed its own; None for the largest always.
    """
    if select in TOGETHER:
        return jnp.asarray(CLEAN, jnp.int32), key
    if select == "random":
        draw_key, key = split_raw(key)
        values = jax.random.uniform(draw_key, (len(modalities),), jnp.float32)
    elif select in BY_VALUE:
        values = _values(select, modalities, basis)
    else:
        values = jnp.asarray([m == select for m in modalities], jnp.float32)
    there = jnp.stack([basis.present[m] for m in modalities])
    if select not in SELECTIONS:
        there = there & (values > 0)
    if select == "held_out":
        there = there & jnp.isfinite(values)
    if chosen is not None and select in CHOOSING:
        return jnp.asarray(chosen, jnp.int32), key
    best = jnp.argmax(jnp.where(there, values, -jnp.inf)).astype(jnp.int32)
    if last is not None and select in BY_VALUE:
        place = jnp.maximum(last, 0)
        lead = values[best] - values[place]
        stays = (last != CLEAN) & there[place] & (lead <= jnp.asarray(hysteresis, values.dtype))
        best = jnp.where(stays, last, best)
    return jnp.where(jnp.any(there), best, jnp.full_like(best, CLEAN)), key


def soft_weights(modalities: Sequence[str], basis: Basis, temperature: Any) -> dict[str, jax.Array]:
    r"""$w_m = \exp((S_m - \max_j S_j) / \tau)$ over the modalities present, 0 for the others."""
    scores = jnp.stack([basis.scores[m] for m in modalities])
    there = jnp.stack([basis.present[m] for m in modalities])
    largest = jnp.max(jnp.where(there, scores, -jnp.inf))
    below = jnp.where(there, scores - largest, -jnp.inf)
    # A τ that rounds to zero would make 0 / 0 of the largest.
    tau = jnp.maximum(jnp.asarray(temperature, scores.dtype), jnp.finfo(scores.dtype).tiny)
    weights = jnp.exp(below / tau)
    return {m: weights[i] for i, m in enumerate(modalities)}


def _values(select: str, modalities: Sequence[str], basis: Basis) -> jax.Array:
    given: Any = basis.scores
    if select in ("lowest_loss", "highest_loss"):
        given = basis.losses
    elif select == "held_out":
        given = basis.held_out_losses
    dtype = basis.scores[modalities[0]].dtype
    values = jnp.stack([jnp.asarray(given[m]).astype(dtype) for m in modalities])
    return values if select in ("dominant", "highest_loss") else -values
