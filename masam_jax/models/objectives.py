"""From logits to the losses that late fusion trains."""

from __future__ import annotations

import jax

from masam_jax.core.losses import cross_entropy


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
    unimodal = {m: cross_entropy(z, labels) for m, z in unimodal_logits.items()}
    return cross_entropy(logits, labels), unimodal
