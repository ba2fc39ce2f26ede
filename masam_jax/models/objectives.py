"""From logits to the losses that late fusion trains."""

from __future__ import annotations

from typing import Any

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


def cross_entropy_with_logits(
    logits: jax.Array, unimodal_logits: dict[str, jax.Array], labels: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array], dict[str, Any]]:
    """:func:`cross_entropy_objective` with ``aux = {"logits": …, "unimodal_logits": {m: …}}``."""
    fusion, unimodal = cross_entropy_objective(logits, unimodal_logits, labels)
    return fusion, unimodal, {"logits": logits, "unimodal_logits": unimodal_logits}
