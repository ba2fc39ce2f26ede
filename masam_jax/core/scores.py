"""APS, the adaptive perturbation score: how fast a modality's loss falls, how well it aligns."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from masam_jax.core.numerics import inner, inverse_root, is_norm, total


class ModalityScores(NamedTuple):
    """What APS keeps of each modality: scalars in ``{modality: scalar}``, float32 or wider.

    Attributes:
      observed: whether the modality has been seen with a finite loss before (bool).
      previous_loss: ``L_m(t-1)``, the unimodal loss the last time it was seen.
      ma_loss: ``MA_m``, the moving average of the unimodal loss.
      decay: ``Decay_m``, the learning speed.
      alignment: ``γ_m``, the cosine between fusion and unimodal gradient.
      score: ``APS_m``.
    """

    observed: dict[str, jax.Array]
    previous_loss: dict[str, jax.Array]
    ma_loss: dict[str, jax.Array]
    decay: dict[str, jax.Array]
    alignment: dict[str, jax.Array]
    score: dict[str, jax.Array]


def initial_scores(modalities: Sequence[str], dtype: Any) -> ModalityScores:
    """The scores before the first step: nothing observed, all zero."""
    zeros = [{m: jnp.zeros((), dtype) for m in modalities} for _ in range(5)]
    return ModalityScores({m: jnp.zeros((), bool) for m in modalities}, *zeros)


class Alignment(NamedTuple):
    """One modality's fusion and unimodal gradients, compared.

    Attributes:
      cosine: ``γ_m``, 0 where a norm is zero or not finite.
      inverse_norm: ``1 / ‖∇ L_fuse‖₂``, 0 where the norm is zero or not finite.
      is_flat: whether the unimodal gradient is exactly zero.
    """

    cosine: jax.Array
    inverse_norm: jax.Array
    is_flat: jax.Array


def align(
    fusion_grads: Sequence[jax.Array],
    unimodal_grads: Sequence[jax.Array],
    *,
    per_tensor: bool,
    clip_negative: bool,
    dtype: Any,
) -> Alignment:
    """``γ_m = cos(∇ L_fuse, ∇ L_m)`` over the leaves of one partition (MASAM, APS).

    Args:
      fusion_grads: the fusion gradient's leaves of the partition.
      unimodal_grads: the same leaves of the modality's own gradient.
      per_tensor: the unweighted mean of the leaves' cosines, instead of the cosine of the
        partition as one vector: what the authors' release computes.
      clip_negative: whether a negative cosine counts as 0.
      dtype: in which the sums are taken.
    """
    zero = jnp.zeros((), dtype)
    dots = [inner(f, u, dtype) for f, u in zip(fusion_grads, unimodal_grads, strict=True)]
    fusion_squares = [inner(f, f, dtype) for f in fusion_grads]
    unimodal_squares = [inner(u, u, dtype) for u in unimodal_grads]
    fusion_square, unimodal_square = (
        total(squares, dtype) for squares in (fusion_squares, unimodal_squares)
    )
    if per_tensor:
        terms = zip(dots, fusion_squares, unimodal_squares, strict=True)
        cosine = total([cosine_of(*each) for each in terms], dtype) / max(len(dots), 1)
    else:
        cosine = cosine_of(total(dots, dtype), fusion_square, unimodal_square)
    # Without either norm the modality has no direction, whatever single tensors say.
    usable = is_norm(fusion_square) & is_norm(unimodal_square)
    cosine = jnp.where(usable, jnp.clip(cosine, 0 if clip_negative else -1, 1), zero)
    return Alignment(cosine, inverse_root(fusion_square), unimodal_square == 0)


def advance(
    scores: ModalityScores,
    losses: Mapping[str, Any],
    alignments: Mapping[str, Alignment],
    present: Mapping[str, jax.Array],
    *,
    alpha: Any,
    beta: Any,
) -> ModalityScores:
    r"""One step of APS; a modality that is not present keeps what it had.

    $$
    \begin{aligned}
    MA_m(t) &= \beta MA_m(t-1) + (1 - \beta) L_m(t), \quad MA_m(0) = L_m(0) \\
    Decay_m(t) &= \max(0, L_m(t-1) - MA_m(t)), \quad Decay_m(0) = 0 \\
    APS_m(t) &= \alpha Decay_m(t) + (1 - \alpha) \gamma_m
    \end{aligned}
    $$

    Args:
      scores: those of the step before.
      losses: the unimodal losses.
      alignments: the modalities' alignments at this step.
      present: which modalities take part in this step.
      alpha: the weight α of the learning speed.
      beta: the smoothing β of the moving average.
    """
    new: dict[str, dict[str, jax.Array]] = {field: {} for field in ModalityScores._fields}
    for m in scores.score:
        dtype = scores.score[m].dtype
        alpha_, beta_ = jnp.asarray(alpha, dtype), jnp.asarray(beta, dtype)
        # An absent modality's loss may be NaN: it must not reach what where() then drops from.
        loss = jnp.where(present[m], jnp.asarray(losses[m]).astype(dtype), 0)
        seen, zero = scores.observed[m], jnp.zeros((), dtype)
        ma_loss = jnp.where(seen, beta_ * scores.ma_loss[m] + (1 - beta_) * loss, loss)
        decay = jnp.where(seen, jnp.maximum(zero, scores.previous_loss[m] - ma_loss), zero)
        cosine = alignments[m].cosine
        score = alpha_ * decay + (1 - alpha_) * cosine
        moved = (jnp.ones((), bool), loss, ma_loss, decay, cosine, score)
        for field, value in zip(ModalityScores._fields, moved, strict=True):
            new[field][m] = jnp.where(present[m], value, getattr(scores, field)[m])
    return ModalityScores(**new)


def cosine_of(dot: jax.Array, left_square: jax.Array, right_square: jax.Array) -> jax.Array:
    """The cosine, of an inner product and squared norms; 0 where one is zero or not finite."""
    scale = inverse_root(left_square) * inverse_root(right_square)
    return jnp.where(scale > 0, dot * scale, 0)
