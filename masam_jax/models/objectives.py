"""From logits to the losses that late fusion trains."""

from __future__ import annotations

from collections.abc import Callable

import jax

from masam_jax.core.losses import SampleLoss, mean_loss, sample_cross_entropy


def cross_entropy_objective(
    logits: jax.Array, unimodal_logits: dict[str, jax.Array], labels: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Mean cross-entropy of the fusion logits and of each modality's, in float32 or wider.

    Args:
      logits: ``[B, C]``.
      unimodal_logits: ``{m: [B, C]}``.
      labels: integer classes ``[B]``.

    Returns:
      ``(fusion_loss, {m: loss})``, scalars in nats.
    """
    return objective_of(sample_cross_entropy)(logits, unimodal_logits, labels)


def objective_of(
    sample_loss: SampleLoss,
) -> Callable[[jax.Array, dict[str, jax.Array], jax.Array], tuple[jax.Array, dict[str, jax.Array]]]:
    """As `cross_entropy_objective`, with the means of another loss of each sample."""

    def objective(
        logits: jax.Array, unimodal_logits: dict[str, jax.Array], labels: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        unimodal = {m: mean_loss(sample_loss, z, labels) for m, z in unimodal_logits.items()}
        return mean_loss(sample_loss, logits, labels), unimodal

    return objective
