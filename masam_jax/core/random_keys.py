"""PRNG keys as plain arrays, which every checkpoint and sharding understands."""

from typing import Any

import chex
import jax
import jax.numpy as jnp


def raw_key(key: chex.PRNGKey | None) -> jax.Array:
    """A key for a state, uint32 data of its own; that of seed 0 where none is given.

    Args:
      key: typed or raw, may be traced.
    """
    if key is None:
        key = jax.random.key(0)
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.key_data(key)
    return jnp.array(key, copy=True)  # a step may donate the state, never the caller's key


def split_raw(key: chex.PRNGKey) -> tuple[jax.Array, jax.Array]:
    """A typed key to draw with now, and the raw one that the state keeps."""
    draw_key, next_key = jax.random.split(jax.random.wrap_key_data(key))
    return draw_key, jax.random.key_data(next_key)


def with_key(state: Any, key: chex.PRNGKey) -> Any:
    """A transformation's state that draws from ``key``.

    Args:
      state: however nested; a PRNG key in it is the field ``key`` of a NamedTuple.
      key: uint32[2].
    """
    place = jax.tree_util.GetAttrKey("key")
    return jax.tree.map_with_path(
        lambda path, leaf: raw_key(key) if path and path[-1] == place else leaf, state
    )
