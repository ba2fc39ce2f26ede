"""The losses of a step, their weights λ, and checks of what a loss function returned."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.numerics import accumulation_dtype
from masam_jax.core.specs import check_number

Weights = float | Mapping[str, Any] | None
# Of logits or outputs [B, ...] and labels or targets, each sample's loss [B].
SampleLoss = Callable[[jax.Array, jax.Array], jax.Array]


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


class WeightedMean(NamedTuple):
    """A loss that carries its weight: ``total / weight``, and 0 where the weight is 0.

    A loss function may return it wherever a scalar loss is accepted. It differs from the scalar
    where a batch is taken in parts, by ``microbatches`` or over the devices of ``axis_name``: parts
    weigh as their weights do, so that the whole batch's loss and gradients come out, while parts
    with a scalar loss count alike. For the weights the loss function is called once more, and of
    this call ``jit`` keeps what the weights depend on.

    Attributes:
      total: the sum over the samples, a real scalar.
      weight: its weight, a scalar ≥ 0, such as the number of samples that have the modality. It is
        not differentiated.

    Examples:
      >>> import jax.numpy as jnp
      >>> there = jnp.asarray([True, False, True])
      >>> of_samples = jnp.asarray([1.0, 9.0, 2.0])
      >>> float(WeightedMean(jnp.sum(jnp.where(there, of_samples, 0)), jnp.sum(there)).value())
      1.5
    """

    total: Any
    weight: Any

    def value(self, mean_weight: Any = None) -> jax.Array:
        """The mean, a scalar in the total's dtype.

        Args:
          mean_weight: the mean of the parts' weights where this is the mean of one part of a batch;
            the mean over the parts is then that of the batch.
        """
        total = jnp.asarray(self.total)
        weight = self.weight if mean_weight is None else mean_weight
        dtype = accumulation_dtype(total)  # float16 cannot count samples
        weight = jax.lax.stop_gradient(jnp.asarray(weight).astype(dtype))
        some = weight != 0  # also of NaN, which must not pass for no sample
        mean = jnp.where(some, total.astype(dtype), 0) / jnp.where(some, weight, 1)
        return mean.astype(total.dtype)

    def scaled(self, factor: Any) -> "WeightedMean":
        """The mean times ``factor``."""
        return self._replace(total=factor * self.total)


class SampleWeights(NamedTuple):
    """The weights of those losses that are a `WeightedMean`, None for all others."""

    fusion: Any
    unimodal: dict[str, Any]


NO_WEIGHTS = SampleWeights(None, {})


def check_losses(result: Any, has_aux: bool, source: str) -> tuple[tuple[Any, dict[str, Any]], Any]:
    """``((fusion, unimodal), aux)`` out of what a loss function returned.

    Raises:
      TypeError: ``result`` is not the tuple of losses and mapping that it should be; a loss is a
        real scalar or a `WeightedMean` of two.
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
    # A modality may be named "fusion".
    for name, loss in [("fusion", fusion), *unimodal.items()]:
        place = f"{source}: the loss {name!r}"
        if isinstance(loss, WeightedMean):
            _check_scalar(f"{place}, its total,", loss.total, jnp.floating)
            _check_scalar(f"{place}, its weight,", loss.weight, jnp.floating, jnp.integer)
        else:
            _check_scalar(place, loss, jnp.floating)
    ordered = {m: _as_loss(unimodal[m]) for m in sorted(unimodal)}
    return (_as_loss(fusion), ordered), result[2] if has_aux else None


def _check_scalar(place: str, value: Any, *kinds: Any) -> None:
    if value is None or isinstance(value, tuple | list | Mapping | str):
        raise TypeError(f"{place} must be a real scalar, got {value!r}")
    shape, dtype = jnp.shape(value), jnp.result_type(value)
    if shape != () or not any(jnp.issubdtype(dtype, kind) for kind in kinds):
        raise TypeError(f"{place} must be a real scalar, got shape {shape} and dtype {dtype}")


def _as_loss(loss: Any) -> Any:
    return loss if isinstance(loss, WeightedMean) else jnp.asarray(loss)


def sample_weights(fusion: Any, unimodal: Mapping[str, Any]) -> SampleWeights:
    """The weights that the losses carry, arrays in float32 or wider."""

    def of(loss: Any) -> Any:
        if not isinstance(loss, WeightedMean):
            return None
        weight = jnp.asarray(loss.weight)
        return jax.lax.stop_gradient(weight.astype(accumulation_dtype((weight, loss.total))))

    return SampleWeights(of(fusion), {m: of(loss) for m, loss in unimodal.items()})


def scalar_losses(
    fusion: Any, unimodal: Mapping[str, Any], mean_weights: SampleWeights = NO_WEIGHTS
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The losses as scalars, each `WeightedMean` over its weight or over the parts' mean weight."""

    def of(loss: Any, mean_weight: Any) -> jax.Array:
        return loss.value(mean_weight) if isinstance(loss, WeightedMean) else jnp.asarray(loss)

    each = {m: of(loss, mean_weights.unimodal.get(m)) for m, loss in unimodal.items()}
    return of(fusion, mean_weights.fusion), each


def check_weights(weights: Weights) -> Weights:
    """``weights`` as given, mappings as a dict, after a look at every weight that is known.

    Raises:
      ValueError: a weight is negative, infinite or no number.
    """
    for name, weight in (weights if isinstance(weights, Mapping) else {"": weights}).items():
        if weight is not None and not isinstance(weight, jax.Array):
            place = f"loss_weights[{name!r}]" if name else "loss_weights"
            check_number(place, weight, "[0, inf)")
    return dict(weights) if isinstance(weights, Mapping) else weights


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
    logits: jax.Array,
    labels: jax.Array,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Mean cross-entropy in nats, in float32 or wider; 0 over no sample.

    Args:
      logits: ``[B, C]``, or ``[B, K]`` of K labels.
      labels: classes ``[B]``, or zeros and ones ``[B, K]``, whose binary cross-entropies are
        averaged.
      where: bool ``[B]``, the samples that count; None for all.
      weights: of the samples, real ``[B]``, for a weighted mean; None for equal ones.
    """
    return mean_loss(sample_cross_entropy, logits, labels, where, weights)


def masked_cross_entropy(
    logits: jax.Array, labels: jax.Array, where: jax.Array, weights: jax.Array | None = None
) -> WeightedMean:
    """`cross_entropy` over the samples of ``where``, bool ``[B]``, with their number or weight."""
    return masked_loss(sample_cross_entropy, logits, labels, where, weights)


def mean_loss(
    sample_loss: SampleLoss,
    outputs: jax.Array,
    labels: jax.Array,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
) -> jax.Array:
    """The mean of a loss over samples, as `cross_entropy` has it; 0 over no sample.

    Args:
      sample_loss: each sample's, `sample_cross_entropy` or one of `target_loss`.
      outputs: ``[B, ...]``, what the network says.
      labels: ``[B]`` or ``[B, K]``, what it should say.
      where: bool ``[B]``, the samples that count; None for all.
      weights: of the samples, real ``[B]``, for a weighted mean; None for equal ones.
    """
    if where is None and weights is None:
        return sample_loss(outputs, labels).mean()
    where = jnp.ones(labels.shape[:1], jnp.bool_) if where is None else where
    return masked_loss(sample_loss, outputs, labels, where, weights).value()


def masked_loss(
    sample_loss: SampleLoss,
    outputs: jax.Array,
    labels: jax.Array,
    where: jax.Array,
    weights: jax.Array | None = None,
) -> WeightedMean:
    """`mean_loss` over the samples of ``where``, bool ``[B]``, with their number or weight."""
    # Before the loss as well, whose gradient would bring NaN back.
    counted = jnp.where(where[:, None], outputs, 0)
    losses = sample_loss(counted, labels)
    if weights is None:
        return WeightedMean(jnp.sum(jnp.where(where, losses, 0)), jnp.sum(where))
    weights = jnp.where(where, weights, 0).astype(losses.dtype)
    return WeightedMean(jnp.sum(weights * losses), jnp.sum(weights))


def sample_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Each sample's term ``[B]`` of `cross_entropy`."""
    # bfloat16 logits would round the loss that MASAM's scores compare between steps.
    if jnp.finfo(logits.dtype).bits < 32:
        logits = logits.astype(jnp.float32)
    if labels.ndim == logits.ndim:
        truth = labels.astype(logits.dtype)
        return optax.losses.sigmoid_binary_cross_entropy(logits, truth).mean(axis=-1)
    return optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)
