"""PRNG keys as plain arrays, which every checkpoint and sharding understands."""

import jax
import jax.numpy as jnp


def raw_key(key: jax.Array | None) -> jax.Array:
    """A key for a state, uint32 data of its own; that of seed 0 where none is given.

    Args:
      key: typed or raw, may be traced.
    """
    if key is None:
        key = jax.random.key(0)
    if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.key_data(key)
    return jnp.array(key, copy=True)  # a step may donate the state, never the caller's key


def split_raw(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A typed key to draw with now, and the raw one that the state keeps."""
    draw_key, next_key = jax.random.split(jax.random.wrap_key_data(key))
    return draw_key, jax.random.key_data(next_key)
