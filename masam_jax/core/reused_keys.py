"""Random keys that are meant to be used again: both points of a step see the same dropout masks."""

from typing import Any

import jax
import jax.numpy as jnp


def clone_keys(tree: Any) -> Any:
    """``tree`` with every typed key cloned, which ``jax_debug_key_reuse`` takes for a new one.

    One pass over the tree may use each key once, as everywhere; keys used twice are still found.
    """
    return jax.tree.map(lambda leaf: jax.random.clone(leaf) if _is_key(leaf) else leaf, tree)


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
