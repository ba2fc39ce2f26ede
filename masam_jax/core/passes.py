"""The first (clean) pass, and the losses that the second pass differentiates.

Passes hold functions and flags alone, and compare by them: they are the static part of a signal.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.feature_alignment import FeatureProducts, feature_products
from masam_jax.core.identity import made_of
from masam_jax.core.late_fusion import LateFusion, check_separate_encoders, reads_other_labels
from masam_jax.core.losses import (
    NO_WEIGHTS,
    Losses,
    SampleWeights,
    Weights,
    check_losses,
    common_weight,
    is_positive,
    is_zero,
    sample_weights,
    scalar_losses,
    weighted_total,
    weights_by_modality,
)
from masam_jax.core.partition import Partition

# Below it the difference of two gradients, divided by the weight, has lost too many digits.
_SMALL_WEIGHT = 0.01


class Gradients(NamedTuple):
    """Gradients at the clean point, each a tree like the parameters.

    ``unimodal`` is None where it is the difference of the other two over one common weight,
    ``features`` where the loss has no encoders of its own, and ``of_part``, the fusion and the
    unimodal gradient of a part of the samples, where nobody asked for it.
    """

    total: chex.ArrayTree
    fusion: chex.ArrayTree
    unimodal: Any
    per_modality: dict[str, Any] | None
    features: dict[str, FeatureProducts] | None = None
    of_part: dict[str, Any] | None = None


Pullback = Callable[[str], Any]


class Weighing(NamedTuple):
    """By what losses are weighed, in arrays and numbers.

    Attributes:
      modalities: the weights λ of the unimodal losses in the total.
      samples: the mean over the parts of a batch of each `WeightedMean`'s weight; `NO_WEIGHTS`
        where there is one part, which weighs its own samples.
    """

    modalities: Weights
    samples: SampleWeights = NO_WEIGHTS


class Passes(Protocol):
    """What `multimodal_value_and_grad` needs of a loss, in one piece or in two."""

    def clean(
        self, params: optax.Params, args: tuple[Any, ...], weighing: Weighing
    ) -> tuple[Losses, Gradients, Any, Pullback | None]:
        """Losses, gradients, the features that the second pass may reuse, and a pullback.

        The pullback gives the fusion gradient of one modality's parameters alone, None where the
        loss is in one piece.
        """

    def sample_weights(self, params: optax.Params, args: tuple[Any, ...]) -> SampleWeights:
        """The weights of those losses that carry one."""

    def fusion_loss(
        self,
        params: optax.Params,
        args: tuple[Any, ...],
        weighing: Weighing,
        features: Any,
        modality: str | None,
    ) -> jax.Array:
        """The fusion loss, as a function of the parameters of ``modality`` (None: of all)."""

    def total_loss(
        self, params: optax.Params, args: tuple[Any, ...], weighing: Weighing
    ) -> jax.Array:
        """The weighted sum of all losses."""

    def check_partition(
        self, params: optax.Params, args: tuple[Any, ...], partition: Partition
    ) -> None:
        """Raises ``ValueError`` where the second pass would be wrong for ``partition``."""

    def other_needs_every_encoder(
        self, params: optax.Params, args: tuple[Any, ...], partition: Partition
    ) -> bool:
        """Whether the second pass of one modality leaves out a part of ``other``'s gradient."""


class _MadeOf:
    """Compared by what it was made of, its class among that."""

    def __init__(self, *parts: Any) -> None:
        self._made_of = made_of((type(self), *parts))

    def __eq__(self, other: object) -> bool:
        """Whether the two were made of the same functions and flags."""
        return isinstance(other, _MadeOf) and self._made_of == other._made_of

    def __hash__(self) -> int:
        """As ``__eq__`` compares."""
        return hash(self._made_of)


class PlainPasses(_MadeOf):
    """Passes over a loss function in one piece."""

    def __init__(
        self,
        loss_fn: Callable[..., Any],
        has_aux: bool,
        unimodal_gradients: str,
        shared_parameters: bool,
    ) -> None:
        super().__init__(loss_fn, has_aux, unimodal_gradients, shared_parameters)
        self._loss_fn = loss_fn
        self._has_aux = has_aux
        self._mode = unimodal_gradients
        self._shared_parameters = shared_parameters

    def _returned(
        self, params: optax.Params, args: tuple[Any, ...]
    ) -> tuple[tuple[Any, dict[str, Any]], Any]:
        return check_losses(self._loss_fn(params, *args), self._has_aux, "loss_fn")

    def _losses(
        self, params: optax.Params, args: tuple[Any, ...], weighing: Weighing
    ) -> tuple[tuple[Any, dict[str, Any]], Any]:
        losses, aux = self._returned(params, args)
        return scalar_losses(*losses, weighing.samples), aux

    def sample_weights(self, params: optax.Params, args: tuple[Any, ...]) -> SampleWeights:
        """The weights of those losses that carry one."""
        return sample_weights(*self._returned(params, args)[0])

    def clean(
        self, params: optax.Params, args: tuple[Any, ...], weighing: Weighing
    ) -> tuple[Losses, Gradients, Any, Pullback | None]:
        """One forward pass, two pullbacks (M + 1 with shared parameters); no features."""
        (fusion, unimodal), pullback, aux = jax.vjp(
            lambda tree: self._losses(tree, args, weighing), params, has_aux=True
        )
        weights = weights_by_modality(weighing.modalities, unimodal)
        losses = Losses(weighted_total(fusion, unimodal, weights), fusion, unimodal, aux)

        def pull(of_fusion: float, of_unimodal: Mapping[str, Any]) -> Any:
            return pullback(_cotangents(fusion, unimodal, of_fusion, of_unimodal))[0]

        fusion_grads = pull(1.0, dict.fromkeys(unimodal, 0.0))
        if self._shared_parameters:
            each = {m: pull(0.0, {n: float(n == m) for n in unimodal}) for m in unimodal}
            total = fusion_grads
            for m in unimodal:
                total = _add_scaled(total, weights[m], each[m])
            summed = jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *each.values())
            return losses, Gradients(total, fusion_grads, summed, each), None, None
        common = common_weight(weights)
        direct = _is_direct(self._mode, weights, (params, fusion, unimodal))
        if common is not None and direct:
            unimodal_grads = pull(0.0, dict.fromkeys(unimodal, 1.0))
            total = _add_scaled(fusion_grads, common, unimodal_grads)
        else:
            total = pull(1.0, weights)
            derived = common is not None and common > 0
            unimodal_grads = None if derived else pull(0.0, dict.fromkeys(unimodal, 1.0))
        return losses, Gradients(total, fusion_grads, unimodal_grads, None), None, None

    def fusion_loss(
        self,
        params: optax.Params,
        args: tuple[Any, ...],
        weighing: Weighing,
        features: Any,
        modality: str | None,
    ) -> jax.Array:
        """The fusion loss; the whole network runs, whatever the modality."""
        del features, modality
        return self._losses(params, args, weighing)[0][0]

    def total_loss(
        self, params: optax.Params, args: tuple[Any, ...], weighing: Weighing
    ) -> jax.Array:
        """The weighted sum of all losses."""
        (fusion, unimodal), _ = self._losses(params, args, weighing)
        return weighted_total(fusion, unimodal, weights_by_modality(weighing.modalities, unimodal))

    def check_partition(
        self, params: optax.Params, args: tuple[Any, ...], partition: Partition
    ) -> None:
        """Any partition is right: the whole network runs again."""

    def other_needs_every_encoder(
        self, params: optax.Params, args: tuple[Any, ...], partition: Partition
    ) -> bool:
        """Never: the whole network runs again."""
        del params, args, partition
        return False


class LateFusionPasses(_MadeOf):
    """Passes over a `LateFusion`: each encoder is pulled back by itself, and can run alone."""

    def __init__(self, late_fusion: LateFusion, has_aux: bool, unimodal_gradients: str) -> None:
        super().__init__(late_fusion, has_aux, unimodal_gradients)
        self.late_fusion = late_fusion
        self._has_aux = has_aux
        self._mode = unimodal_gradients

    def _objective(
        self,
        params: optax.Params,
        features: dict[str, Any],
        args: tuple[Any, ...],
        weighing: Weighing,
    ) -> tuple[tuple[Any, dict[str, Any]], Any]:
        result = self.late_fusion.objective(params, features, *args)
        losses, aux = check_losses(result, self._has_aux, "LateFusion.objective")
        return scalar_losses(*losses, weighing.samples), aux

    def _returned(
        self, params: optax.Params, args: tuple[Any, ...]
    ) -> tuple[tuple[Any, dict[str, Any]], Any]:
        result = self.late_fusion(params, *args)
        return check_losses(result, self._has_aux, "LateFusion.objective")

    def sample_weights(self, params: optax.Params, args: tuple[Any, ...]) -> SampleWeights:
        """The weights of those losses that carry one."""
        return sample_weights(*self._returned(params, args)[0])

    def clean(
        self, params: optax.Params, args: tuple[Any, ...], weighing: Weighing
    ) -> tuple[Losses, Gradients, Any, Pullback | None]:
        """One forward pass, two pullbacks of each encoder; the features are kept."""
        features, pullbacks = {}, {}
        for m, encoder in self.late_fusion.encoders.items():
            features[m], pullbacks[m] = jax.vjp(lambda tree, run=encoder: run(tree, *args), params)
        (fusion, unimodal), pullback, aux = jax.vjp(
            lambda tree, inputs: self._objective(tree, inputs, args, weighing),
            params,
            features,
            has_aux=True,
        )
        if set(unimodal) != set(features):
            raise ValueError(
                f"the objective returned unimodal losses for {sorted(unimodal)}, and the encoders"
                f" are {sorted(features)}: each encoder needs one loss"
            )
        weights = weights_by_modality(weighing.modalities, unimodal)
        losses = Losses(weighted_total(fusion, unimodal, weights), fusion, unimodal, aux)

        def pull(of_fusion: float, of_unimodal: Mapping[str, Any]) -> Any:
            return pullback(_cotangents(fusion, unimodal, of_fusion, of_unimodal))

        fusion_grads, fusion_cotangents = pull(1.0, dict.fromkeys(unimodal, 0.0))
        total, total_cotangents = pull(1.0, weights)
        unimodal_grads, unimodal_cotangents = pull(0.0, dict.fromkeys(unimodal, 1.0))
        products = feature_products(fusion_cotangents, unimodal_cotangents)
        of_objective = fusion_grads

        def pull_fusion(modality: str) -> Any:
            (of_encoder,) = pullbacks[modality](fusion_cotangents[modality])
            return _add(of_objective, of_encoder)

        direct = _is_direct(self._mode, weights, (params, features, fusion, unimodal))
        for m, pull_encoder in pullbacks.items():
            (of_fusion,) = pull_encoder(fusion_cotangents[m])
            weight = weights[m]
            if is_positive(weight) and not direct:
                (of_total,) = pull_encoder(total_cotangents[m])
                of_unimodal = scaled_difference(of_total, of_fusion, weight)
            else:
                (of_unimodal,) = pull_encoder(unimodal_cotangents[m])
                # A product with zero would keep the pullback alive when nobody reads it.
                of_total = (
                    of_fusion if is_zero(weight) else _add_scaled(of_fusion, weight, of_unimodal)
                )
            fusion_grads = _add(fusion_grads, of_fusion)
            total = _add(total, of_total)
            unimodal_grads = _add(unimodal_grads, of_unimodal)
        common = common_weight(weights)
        derived = common is not None and common > 0 and not direct
        return (
            losses,
            Gradients(total, fusion_grads, None if derived else unimodal_grads, None, products),
            features,
            pull_fusion,
        )

    def fusion_loss(
        self,
        params: optax.Params,
        args: tuple[Any, ...],
        weighing: Weighing,
        features: Any,
        modality: str | None,
    ) -> jax.Array:
        """The fusion loss; ``modality``'s encoder runs alone, all of them when it is None."""
        encoders = self.late_fusion.encoders
        again = encoders if modality is None else {modality: encoders[modality]}
        fresh = {m: encoder(params, *args) for m, encoder in again.items()}
        return self._objective(params, {**features, **fresh}, args, weighing)[0][0]

    def total_loss(
        self, params: optax.Params, args: tuple[Any, ...], weighing: Weighing
    ) -> jax.Array:
        """The weighted sum of all losses."""
        fusion, unimodal = scalar_losses(*self._returned(params, args)[0], weighing.samples)
        return weighted_total(fusion, unimodal, weights_by_modality(weighing.modalities, unimodal))

    def check_partition(
        self, params: optax.Params, args: tuple[Any, ...], partition: Partition
    ) -> None:
        """Raises ``ValueError`` where an encoder reads another modality's parameters."""
        check_separate_encoders(self.late_fusion, params, args, partition)

    def other_needs_every_encoder(
        self, params: optax.Params, args: tuple[Any, ...], partition: Partition
    ) -> bool:
        """Whether an encoder reads leaves that belong to no modality."""
        return reads_other_labels(self.late_fusion, params, args, partition)


def scaled_difference(total: chex.ArrayTree, fusion: chex.ArrayTree, weight: float) -> Any:
    """``(total - fusion) / weight``: the unimodal gradient that a total one contains."""
    return jax.tree.map(lambda t, f: (t - f) / weight, total, fusion)


def _cotangents(
    fusion: jax.Array,
    unimodal: Mapping[str, jax.Array],
    of_fusion: float,
    of_unimodal: Mapping[str, Any],
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """What to pull back for a weighted sum of the losses, in the losses' own dtypes."""

    def like(loss: jax.Array, weight: Any) -> jax.Array:
        # ones_like: under shard_map a cotangent varies over the devices as its loss does.
        return jnp.ones_like(loss) * jnp.asarray(weight, loss.dtype)

    return like(fusion, of_fusion), {m: like(loss, of_unimodal[m]) for m, loss in unimodal.items()}


def _is_direct(mode: str, weights: Mapping[str, Any], arrays: Any) -> bool:
    if mode != "auto":
        return mode == "direct"
    if any(is_positive(weight) and weight < _SMALL_WEIGHT for weight in weights.values()):
        return True
    dtypes = [jnp.result_type(leaf) for leaf in jax.tree.leaves(arrays)]
    return any(jnp.issubdtype(d, jnp.floating) and jnp.finfo(d).bits < 32 for d in dtypes)


def _add(left: Any, right: Any) -> Any:
    return jax.tree.map(jnp.add, left, right)


def _add_scaled(left: Any, weight: Any, right: Any) -> Any:
    return jax.tree.map(lambda x, y: x + jnp.asarray(weight, x.dtype) * y, left, right)
