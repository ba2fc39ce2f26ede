"""One loss out of those that a multimodal loss function returns."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax

from masam_jax.core.late_fusion import LateFusion
from masam_jax.core.losses import (
    Weights,
    check_losses,
    check_weights,
    scalar_losses,
    weighted_total,
    weights_by_modality,
)
from masam_jax.core.specs import unknown

MultimodalLoss = Callable[..., Any] | LateFusion
"""What ``multimodal_value_and_grad`` accepts."""


@dataclasses.dataclass(frozen=True)
class _Losses:
    """Equal to another of the same functions, so that programs are found again."""

    loss_fn: MultimodalLoss
    has_aux: bool

    def __post_init__(self) -> None:
        if not callable(self.loss_fn):
            raise ValueError(f"loss_fn must be a function or a LateFusion, got {self.loss_fn!r}")

    def of(self, params: Any, batch: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
        arguments = batch if type(batch) is tuple else (batch,)
        result = self.loss_fn(params, *arguments)
        losses, _ = check_losses(result, self.has_aux, "loss_fn")
        return scalar_losses(*losses)


@dataclasses.dataclass(frozen=True)
class _Fusion(_Losses):
    def __call__(self, params: Any, batch: Any) -> jax.Array:
        return self.of(params, batch)[0]


@dataclasses.dataclass(frozen=True)
class _Unimodal(_Losses):
    modality: str

    def __call__(self, params: Any, batch: Any) -> jax.Array:
        _, unimodal = self.of(params, batch)
        if self.modality not in unimodal:
            raise ValueError(unknown("modality", self.modality, unimodal))
        return unimodal[self.modality]


@dataclasses.dataclass(frozen=True)
class _Total(_Losses):
    weights: tuple[tuple[str, float], ...] | float | None

    def __call__(self, params: Any, batch: Any) -> jax.Array:
        fusion, unimodal = self.of(params, batch)
        weights = dict(self.weights) if isinstance(self.weights, tuple) else self.weights
        return weighted_total(fusion, unimodal, weights_by_modality(weights, unimodal))


def fusion_loss(
    loss_fn: MultimodalLoss, *, has_aux: bool = False
) -> Callable[[Any, Any], jax.Array]:
    """``L_fuse`` as ``(params, batch) -> scalar``, for the instruments here.

    Args:
      loss_fn: what ``multimodal_value_and_grad`` accepts. A batch is the tuple of its arguments
        after the parameters; what is no tuple is the only one.
      has_aux: whether it returns ``aux`` too.

    Raises:
      ValueError: it is no function.

    Examples:
      >>> def loss_fn(params, x):
      ...     return params["a"] * x, {"a": params["a"] ** 2}
      >>> float(fusion_loss(loss_fn)({"a": 3.0}, (2.0,)))
      6.0
    """
    return _Fusion(loss_fn, has_aux)


def unimodal_loss(
    loss_fn: MultimodalLoss, modality: str, *, has_aux: bool = False
) -> Callable[[Any, Any], jax.Array]:
    """``L_m`` of one modality, unweighted, as `fusion_loss` has the fusion's.

    Raises:
      ValueError: it is no function; when called, there is no such modality.
    """
    return _Unimodal(loss_fn, has_aux, modality)


def total_loss(
    loss_fn: MultimodalLoss, *, loss_weights: Weights = None, has_aux: bool = False
) -> Callable[[Any, Any], jax.Array]:
    """``L_fuse + Σ_m λ_m L_m``, as `fusion_loss` has the first.

    Args:
      loss_fn: as for `fusion_loss`.
      loss_weights: λ, one number or one for each modality; all are 1 when None.
      has_aux: whether it returns ``aux`` too.

    Raises:
      ValueError: it is no function, or a weight is out of range; when called, the weights name
        other modalities than the losses.
    """
    weights = check_weights(loss_weights)
    if isinstance(weights, Mapping):
        # Of mappings, which have no hash.
        return _Total(loss_fn, has_aux, tuple(sorted(weights.items())))
    return _Total(loss_fn, has_aux, weights)
