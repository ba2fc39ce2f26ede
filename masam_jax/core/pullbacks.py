"""What the losses' pullbacks are given, and how gradients that they give are put together."""

from collections.abc import Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp

from masam_jax.core.losses import is_positive

# Below it the difference of two gradients, divided by the weight, has lost too many digits.
_SMALL_WEIGHT = 0.01


def scaled_difference(total: chex.ArrayTree, fusion: chex.ArrayTree, weight: float) -> Any:
    """``(total - fusion) / weight``: the unimodal gradient that a total one contains."""
    return jax.tree.map(lambda t, f: (t - f) / weight, total, fusion)


def cotangents(
    fusion: jax.Array,
    unimodal: Mapping[str, jax.Array],
    of_fusion: float,
    of_unimodal: Mapping[str, Any],
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """What to pull back for a weighted sum of the losses, in the losses' own dtypes."""

    def like(loss: jax.Array, weight: Any) -> jax.Array:
        # ones_like: under shard_map a cotangent varies over the devices as its loss does.
        return jnp.ones_like(loss) * jnp.asarray(weight, loss.dtype)

    return like(fusion, of_fusion), {m: like(loss, of_unimodal[m]) for m, loss in unimodal.items()}


def is_direct(mode: str, weights: Mapping[str, Any], arrays: Any) -> bool:
    """Whether unimodal gradients are pulled back, and not the difference of two others.

    Args:
      mode: "direct", "difference", or "auto", by what follows.
      weights: the modalities' λ, none of which may be small for a difference.
      arrays: what gradients are taken of and through, none of which may be narrow for one.
    """
    if mode != "auto":
        return mode == "direct"
    if any(is_positive(weight) and weight < _SMALL_WEIGHT for weight in weights.values()):
        return True
    dtypes = [jnp.result_type(leaf) for leaf in jax.tree.leaves(arrays)]
    return any(jnp.issubdtype(d, jnp.floating) and jnp.finfo(d).bits < 32 for d in dtypes)


def add_trees(left: Any, right: Any) -> Any:
    """``left + right``, leaf by leaf."""
    return jax.tree.map(jnp.add, left, right)


def add_scaled(left: Any, weight: Any, right: Any) -> Any:
    """``left + weight * right``, leaf by leaf, in the dtypes of ``left``."""
    return jax.tree.map(lambda x, y: x + jnp.asarray(weight, x.dtype) * y, left, right)
