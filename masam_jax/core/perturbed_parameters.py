"""The perturbed point θ + ε, and the radii that are reached after rounding."""

from collections.abc import Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.numerics import is_narrow
from masam_jax.core.partition import Partition


def narrow_modalities(params: optax.Params, partition: Partition) -> tuple[str, ...]:
    """The modalities with parameters of fewer than 32 bits, which may round a perturbation away."""
    narrow = []
    for m in partition.modalities:
        if any(is_narrow(jnp.result_type(leaf)) for leaf in partition.leaves(params, m)):
            narrow.append(m)
    return tuple(narrow)


def no_radii(params: optax.Params, partition: Partition, dtype: Any) -> dict[str, jax.Array]:
    """Zeros for each modality: ``[1]`` where it is narrow, a scalar where its radius is exact.

    The names do not depend on the parameters, which ``optax.tree_map_params`` does not show.
    """
    narrow = narrow_modalities(params, partition)
    return {m: jnp.zeros((1,) if m in narrow else (), dtype) for m in partition.modalities}


def perturb(
    params: optax.Params,
    directions: chex.ArrayTree,
    partition: Partition,
    scales: Mapping[str, jax.Array],
    *,
    widen: bool = False,
) -> Any:
    """``θ_m + scales[m] d_m`` for the modalities in ``scales``, all else as it was.

    Args:
      params: the parameters.
      directions: a tree like them, such as the fusion gradient.
      partition: whose leaf is whose.
      scales: the radius over the norm of the direction, scalars.
      widen: whether perturbed leaves of fewer than 32 bits come as float32, which does not round
        the perturbation away.
    """
    leaves, structure = jax.tree.flatten(params)
    along = jax.tree.leaves(directions)
    moved = list(leaves)
    for m, scale in scales.items():
        for i in partition.positions(m):
            step = scale * along[i].astype(scale.dtype)
            # 0 * inf: a modality whose gradient is not finite has scale 0, and stays.
            step = jnp.where(scale == 0, jnp.zeros_like(step), step)
            dtype = jnp.result_type(leaves[i])
            to = jnp.float32 if widen and is_narrow(dtype) else dtype
            moved[i] = (jnp.asarray(leaves[i]).astype(scale.dtype) + step).astype(to)
    return jax.tree.unflatten(structure, moved)
