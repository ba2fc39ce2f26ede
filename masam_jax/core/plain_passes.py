"""The passes over a loss function in one piece: the whole network runs in each."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from masam_jax.core.losses import (
    Losses,
    SampleWeights,
    check_losses,
    common_weight,
    sample_weights,
    scalar_losses,
    weighted_total,
    weights_by_modality,
)
from masam_jax.core.partition import Partition
from masam_jax.core.passes import Gradients, MadeOf, Pullback, Weighing
from masam_jax.core.pullbacks import add_scaled, cotangents, is_direct


class PlainPasses(MadeOf):
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
            return pullback(cotangents(fusion, unimodal, of_fusion, of_unimodal))[0]

        fusion_grads = pull(1.0, dict.fromkeys(unimodal, 0.0))
        if self._shared_parameters:
            each = {m: pull(0.0, {n: float(n == m) for n in unimodal}) for m in unimodal}
            total = fusion_grads
            for m in unimodal:
                total = add_scaled(total, weights[m], each[m])
            summed = jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *each.values())
            return losses, Gradients(total, fusion_grads, summed, each), None, None
        common = common_weight(weights)
        direct = is_direct(self._mode, weights, (params, fusion, unimodal))
        if common is not None and direct:
            unimodal_grads = pull(0.0, dict.fromkeys(unimodal, 1.0))
            total = add_scaled(fusion_grads, common, unimodal_grads)
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
