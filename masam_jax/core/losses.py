"""The losses of a step, their weights λ, and checks of what a loss function returned."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.specs import check_number

Weights = float | Mapping[str, Any] | None


class Losses(NamedTuple):
    """The losses of one step, scalars.

    Attributes:
      total: the fusion loss plus the weighted unimodal losses.
      fusion: the loss of the fused prediction.
      unimodal: the loss of each modality, unweighted.
      aux: what the loss function returned besides, None without ``has_aux``.
    """

    total: jax.Array
    fusion: jax.Array
    unimodal: dict[str, jax.Array]
    aux: Any = None


def check_losses(result: Any, has_aux: bool, source: str) -> tuple[tuple[Any, dict[str, Any]], Any]:
    """``((fusion, unimodal), aux)`` out of what a loss function returned.

    Raises:
      TypeError: ``result`` is not the tuple of scalars and mapping that it should be.
    """
    length = 3 if has_aux else 2
    form = "(fusion_loss, {modality: loss}" + (", aux)" if has_aux else ")")
    if not isinstance(result, tuple) or len(result) != length:
        found = f"{len(result)} values" if isinstance(result, tuple) else type(result).__name__
        raise TypeError(f"{source} must return {form} with has_aux={has_aux}, got {found}")
    fusion, unimodal = result[:2]
    if not isinstance(unimodal, Mapping) or not unimodal:
        raise TypeError(
            f"{source} must return {form}, one loss for each modality; got"
            f" {type(unimodal).__name__} {unimodal!r} for the unimodal losses"
        )
    for name, loss in {"fusion": fusion, **unimodal}.items():
        if jnp.shape(loss) != () or not jnp.issubdtype(jnp.result_type(loss), jnp.floating):
            raise TypeError(
                f"{source}: the loss {name!r} must be a real scalar, got shape {jnp.shape(loss)}"
                f" and dtype {jnp.result_type(loss)}"
            )
    scalars = {m: jnp.asarray(unimodal[m]) for m in sorted(unimodal)}
    return (jnp.asarray(fusion), scalars), result[2] if has_aux else None


def check_weights(weights: Weights) -> Weights:
    """``weights`` as given, after a look at every weight whose value is known.

    Raises:
      ValueError: a weight is negative, infinite or no number.
    """
    for name, weight in (weights if isinstance(weights, Mapping) else {"": weights}).items():
        if weight is not None and not isinstance(weight, jax.Array):
            place = f"loss_weights[{name!r}]" if name else "loss_weights"
            check_number(place, weight, "[0, inf)")
    return weights


def weights_by_modality(weights: Weights, unimodal: Mapping[str, Any]) -> dict[str, Any]:
    """The weight of every modality's loss.

    Raises:
      ValueError: the weights and the losses name different modalities.
    """
    if not isinstance(weights, Mapping):
        return dict.fromkeys(unimodal, 1.0 if weights is None else weights)
    if set(weights) != set(unimodal):
        raise ValueError(
            f"loss_weights names {sorted(weights)}, the loss function {sorted(unimodal)}: every"
            " unimodal loss needs one weight"
        )
    return {m: weights[m] for m in unimodal}


def common_weight(weights: Mapping[str, Any]) -> float | None:
    """The one weight all modalities have, when it is known and the same."""
    values = list(weights.values())
    if any(isinstance(value, jax.Array) or value != values[0] for value in values):
        return None
    return float(values[0])


def is_positive(weight: Any) -> bool:
    """Whether ``weight`` is known, and above zero."""
    return not isinstance(weight, jax.Array) and weight > 0


def is_zero(weight: Any) -> bool:
    """Whether ``weight`` is known, and zero."""
    return not isinstance(weight, jax.Array) and weight == 0


def weighted_total(
    fusion: chex.ArrayTree, unimodal: Mapping[str, Any], weights: Mapping[str, Any]
) -> Any:
    """The fusion loss plus the weighted unimodal losses."""
    total = fusion
    for m, loss in unimodal.items():
        total = total + jnp.asarray(weights[m], total.dtype) * loss.astype(total.dtype)
    return total


def cross_entropy(
    logits: jax.Array, labels: jax.Array, where: jax.Array | None = None
) -> jax.Array:
    """Mean cross-entropy in nats, in float32 or wider; 0 over no sample.

    Args:
      logits: ``[B, C]``, or ``[B, K]`` of K labels.
      labels: classes ``[B]``, or zeros and ones ``[B, K]``, whose binary cross-entropies are
        averaged.
      where: bool ``[B]``, the samples that count; None for all.
    """
    if where is None:
        return sample_cross_entropy(logits, labels).mean()
    # Before the loss as well, whose gradient would bring NaN back.
    counted = jnp.where(where[:, None], logits, 0)
    total = jnp.sum(jnp.where(where, sample_cross_entropy(counted, labels), 0))
    return total / jnp.maximum(jnp.sum(where), 1).astype(total.dtype)


def sample_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Each sample's term ``[B]`` of `cross_entropy`."""
    # bfloat16 logits would round the loss that MASAM's scores compare between steps.
    if jnp.finfo(logits.dtype).bits < 32:
        logits = logits.astype(jnp.float32)
    if labels.ndim == logits.ndim:
        truth = labels.astype(logits.dtype)
        return optax.losses.sigmoid_binary_cross_entropy(logits, truth).mean(axis=-1)
    return optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)
