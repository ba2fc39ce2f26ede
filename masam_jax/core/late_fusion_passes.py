"""The passes over a `LateFusion`, whose encoders run, and are pulled back, one by one."""

from collections.abc import Mapping
from typing import Any

import jax
import optax

from masam_jax.core.feature_alignment import feature_products
from masam_jax.core.late_fusion import LateFusion, check_separate_encoders, reads_other_labels
from masam_jax.core.losses import (
    Losses,
    SampleWeights,
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
from masam_jax.core.passes import Gradients, MadeOf, Pullback, Weighing
from masam_jax.core.pullbacks import (
    add_scaled,
    add_trees,
    cotangents,
    is_direct,
    scaled_difference,
)


class LateFusionPasses(MadeOf):
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
            return pullback(cotangents(fusion, unimodal, of_fusion, of_unimodal))

        fusion_grads, fusion_cotangents = pull(1.0, dict.fromkeys(unimodal, 0.0))
        total, total_cotangents = pull(1.0, weights)
        unimodal_grads, unimodal_cotangents = pull(0.0, dict.fromkeys(unimodal, 1.0))
        products = feature_products(fusion_cotangents, unimodal_cotangents)
        of_objective = fusion_grads

        def pull_fusion(modality: str) -> Any:
            (of_encoder,) = pullbacks[modality](fusion_cotangents[modality])
            return add_trees(of_objective, of_encoder)

        direct = is_direct(self._mode, weights, (params, features, fusion, unimodal))
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
                    of_fusion if is_zero(weight) else add_scaled(of_fusion, weight, of_unimodal)
                )
            fusion_grads = add_trees(fusion_grads, of_fusion)
            total = add_trees(total, of_total)
            unimodal_grads = add_trees(unimodal_grads, of_unimodal)
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
