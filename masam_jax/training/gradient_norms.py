"""How long the gradients of the fusion loss and of the unimodal losses are, encoder by encoder."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from masam_jax.core.numerics import accumulation_dtype, inner, total
from masam_jax.core.partition import Labels, resolve_partition
from masam_jax.methods.method import GradientKind


def gradient_norms(
    labels: Labels,
    params: Any,
    signals: Mapping[str, Any],
    logged: Mapping[GradientKind, Sequence[str]],
) -> dict[str, dict[str, jax.Array]]:
    """``{"fusion_gradient_norm": {m: scalar}, …}``, the Euclidean norm over each encoder.

    Args:
      labels: the modality of each parameter.
      params: the parameters.
      signals: those of `multimodal_value_and_grad`; what is not logged is not read.
      logged: of which gradients, ``"fusion"`` or ``"unimodal"``, the norms of which modalities.
    """
    partition = resolve_partition(labels, params)
    norms: dict[str, dict[str, jax.Array]] = {}
    for kind, modalities in logged.items():
        gradients = signals[f"{kind}_grads"]
        dtype = accumulation_dtype(gradients)
        norms[f"{kind}_gradient_norm"] = {
            m: jnp.sqrt(total([inner(g, g, dtype) for g in partition.leaves(gradients, m)], dtype))
            for m in modalities
        }
    return norms
