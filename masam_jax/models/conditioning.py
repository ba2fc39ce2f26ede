"""What fusion heads share in which the other modalities act upon one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from masam_jax.core.late_fusion import Features
from masam_jax.core.specs import unknown


def acted_upon(argument: str, name: str | None, modalities: tuple[str, ...]) -> str:
    """``name``, or the last of the sorted modalities when it is None.

    Raises:
      ValueError: no modality has that name.
    """
    if name is None:
        return modalities[-1]
    if name not in modalities:
        raise ValueError(f"{argument}: {unknown('modality', name, modalities)}")
    return name


def logits_alone(
    head: Callable[[Features], jax.Array], features: Features, sizes: Mapping[str, int]
) -> dict[str, jax.Array]:
    """Logits of each modality where the features of all others are zero.

    Args:
      head: features of all modalities to logits ``[B, C]``.
      features: ``{m: [B, H_m]}`` of some or all modalities.
      sizes: modality -> H_m, of all modalities.

    Returns:
      ``{m: [B, C]}`` for the modalities in ``features``, sorted.
    """
    return {m: head(_keep(m, features[m], sizes)) for m in sorted(features)}


def _keep(modality: str, kept: jax.Array, sizes: Mapping[str, int]) -> dict[str, jax.Array]:
    zeros = {m: jnp.zeros((*kept.shape[:-1], size), kept.dtype) for m, size in sizes.items()}
    return {**zeros, modality: kept}
