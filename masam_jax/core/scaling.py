"""How far each modality is perturbed, whether it is chosen or not."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from masam_jax.core.normalization import by_filters
from masam_jax.core.numerics import inverse_norm, norm
from masam_jax.core.partition import Partition
from masam_jax.core.rule_options import Hyperparameters, RuleOptions
from masam_jax.core.scores import Alignment


def scale_perturbations(
    partition: Partition,
    settings: RuleOptions,
    hyperparameters: Hyperparameters,
    params: optax.Params,
    inputs: Mapping[str, Any],
    alignments: Mapping[str, Alignment],
    present: Mapping[str, jax.Array],
    weights: Mapping[str, jax.Array] | None,
) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
    """The scales and radii of a `masam_jax.core.decision.Decision`.

    Args:
      partition: whose parameter is whose.
      settings: the options of the transformation.
      hyperparameters: those of this step.
      params: the parameters.
      inputs: the signals that are trees, as `masam_jax.core.decision.decide` takes them.
      alignments: γ of each modality, in the dtype that is computed in, and its gradient's norm.
      present: whether each takes part in this step.
      weights: what ``select="soft"`` multiplies each with; None for ones.
    """
    scales, radii = {}, {}
    for m in partition.modalities:
        dtype = alignments[m].cosine.dtype
        factor = alignments[m].cosine if settings.scale_by_alignment else jnp.ones((), dtype)
        over_norm = alignments[m].inverse_norm
        along = inputs["total_grads" if settings.along_total else "fusion_grads"]
        if settings.radius == "filter":
            here = partition.leaves(params, m)
            normalized, _ = by_filters(here, partition.leaves(along, m), hyperparameters.eta, dtype)
            over_norm = inverse_norm(normalized, dtype)
        elif settings.along_total:
            over_norm = inverse_norm(partition.leaves(along, m), dtype)
        length = jnp.asarray(hyperparameters.radius, dtype) * factor
        scale = length * over_norm
        if settings.radius == "relative":
            of_params = norm(partition.leaves(params, m), dtype)
            scale, length = scale * of_params, length * of_params
        if hyperparameters.fit_exponent is not None:
            loss = jnp.asarray(inputs["unimodal_losses"][m]).astype(dtype)
            # Losses such as negative log densities fall without end; the radius ends at ρ.
            loss = jnp.maximum(loss, jnp.zeros_like(loss))
            fit = jnp.exp(-jnp.asarray(hyperparameters.fit_exponent, dtype) * loss)
            scale, length = scale * fit, length * fit
        if weights is not None:
            scale, length = scale * weights[m], length * weights[m]
        scales[m] = _usable(scale, present[m])
        radii[m] = _usable(length, present[m])
    return scales, radii


def _usable(scale: jax.Array, present: jax.Array) -> jax.Array:
    return jnp.where(present & jnp.isfinite(scale), scale, jnp.zeros_like(scale))
