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
    relative: bool = False,
) -> ModalityScores:
    r"""One step of APS; a modality that is not present keeps what it had.

    $$
    \begin{aligned}
    MA_m(t) &= \beta MA_m(t-1) + (1 - \beta) L_m(t), \quad MA_m(0) = L_m(0) \\
    Decay_m(t) &= \max(0, L_m(t-1) - MA_m(t)), \quad Decay_m(0) = 0 \\
    APS_m(t) &= \alpha Decay_m(t) + (1 - \alpha) \gamma_m
    \end{aligned}
    $$

    and with ``relative`` $APS_m(t) = \alpha Decay_m(t) / |MA_m(t)| + (1 - \alpha) \gamma_m$, whose
    first term is 0 where $MA_m$ is.

    Args:
      scores: those of the step before.
      losses: the unimodal losses.
      alignments: the modalities' alignments at this step.
      present: which modalities take part in this step.
      alpha: the weight α of the learning speed.
      beta: the smoothing β of the moving average.
      relative: whether the learning speed counts as a share of the loss.
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
        speed = _share(decay, ma_loss) if relative else decay
        score = alpha_ * speed + (1 - alpha_) * cosine
        moved = (jnp.ones((), bool), loss, ma_loss, decay, cosine, score)
        for field, value in zip(ModalityScores._fields, moved, strict=True):
            new[field][m] = jnp.where(present[m], value, getattr(scores, field)[m])
    return ModalityScores(**new)


def standardize_scores(
    scores: ModalityScores,
    mean_squares: Mapping[str, jax.Array],
    present: Mapping[str, jax.Array],
    *,
    alpha: Any,
    beta: Any,
) -> tuple[ModalityScores, dict[str, jax.Array]]:
    r"""Scores of terms of equal size: each over its own root mean square.

    With $\langle x^2 \rangle$ the mean over the modalities present,

    $$
    \begin{aligned}
    V_x(t) &= \beta V_x(t-1) + (1 - \beta) \langle x^2 \rangle \\
    APS_m(t) &= \alpha Decay_m / \sqrt{V_{Decay}} + (1 - \alpha) \gamma_m / \sqrt{V_\gamma}
    \end{aligned}
    $$

    V begins with the first mean square that is not zero; before that its term is 0. It stays where
    no modality is present, and where the mean is not finite.

    Args:
      scores: after `advance` at this step.
      mean_squares: V before the step, of ``"decay"`` and ``"alignment"``.
      present: which modalities take part in this step.
      alpha: the weight α of the learning speed.
      beta: the smoothing β of V.

    Returns:
      The scores, and V after the step.
    """
    dtype = jnp.result_type(*scores.score.values())
    alpha_, beta_ = jnp.asarray(alpha, dtype), jnp.asarray(beta, dtype)
    largest = jnp.finfo(dtype).max
    count = total([present[m].astype(dtype) for m in scores.score], dtype)
    moved, over = {}, {}
    for term, before in mean_squares.items():
        values = getattr(scores, term)
        squares = [jnp.where(present[m], x * x, jnp.zeros_like(x)) for m, x in values.items()]
        mean = total(squares, dtype) / jnp.maximum(count, 1)
        after = jnp.where(before > 0, beta_ * before + (1 - beta_) * mean, mean)
        moved[term] = jnp.where((count > 0) & jnp.isfinite(after), after, before)
        over[term] = inverse_root(moved[term])
    new = {}
    for m, last in scores.score.items():
        speed, cosine = scores.decay[m] * over["decay"], scores.alignment[m] * over["alignment"]
        score = jnp.clip(alpha_ * speed + (1 - alpha_) * cosine, -largest, largest)
        new[m] = jnp.where(present[m], score, last)
    return scores._replace(score=new), moved


def smooth(
    smoothed: Mapping[str, jax.Array],
    scores: ModalityScores,
    observed: Mapping[str, jax.Array],
    present: Mapping[str, jax.Array],
    smoothing: Any,
) -> dict[str, jax.Array]:
    r"""$S_m(t) = \kappa S_m(t-1) + (1 - \kappa) APS_m(t)$, and $APS_m$ the first time.

    Args:
      smoothed: S before the step.
      scores: after the step.
      observed: which modalities had been seen before the step.
      present: which modalities take part in it; the others keep what they had.
      smoothing: κ in [0, 1).
    """
    new = {}
    for m, score in scores.score.items():
        kappa = jnp.asarray(smoothing, score.dtype)
        mixed = jnp.where(observed[m], kappa * smoothed[m] + (1 - kappa) * score, score)
        new[m] = jnp.where(present[m], mixed, smoothed[m])
    return new


def _share(decay: jax.Array, ma_loss: jax.Array) -> jax.Array:
    """Decay over the size of the loss; 0 where that is, and finite."""
    limits, size = jnp.finfo(decay.dtype), jnp.abs(ma_loss)
    usable = size >= limits.tiny
    return jnp.where(usable, jnp.minimum(decay / jnp.where(usable, size, 1), limits.max), 0)


def cosine_of(dot: jax.Array, left_square: jax.Array, right_square: jax.Array) -> jax.Array:
    """The cosine, of an inner product and squared norms; 0 where one is zero or not finite."""
    scale = inverse_root(left_square) * inverse_root(right_square)
    return jnp.where(scale > 0, dot * scale, 0)
