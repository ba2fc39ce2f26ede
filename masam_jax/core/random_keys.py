"""PRNG keys of one implementation, as plain arrays: every checkpoint and sharding understands them.

``JAX_DEFAULT_PRNG_IMPL`` decides what ``jax.random.key`` makes and what a raw key is taken for; the
numbers drawn here depend on neither. The other implementations draw differently under ``vmap``, so
that a seed's numbers would depend on the seeds beside it.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

IMPLEMENTATION = "threefry2x32"
"""The implementation of every key that the package makes; its raw keys are uint32[2]."""
_WORDS = 2


def seed_key(seed: int) -> np.ndarray:
    """The raw key uint32[2] of a seed, as ``jax.random.key(seed)`` has it by default.

    Args:
      seed: a Python integer; its low 64 bits count.
    """
    return np.array([(seed >> 32) & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32)


def raw_key(key: chex.PRNGKey | None) -> jax.Array:
    """A key for a state, uint32[..., 2] of its own; that of seed 0 where none is given.

    A key of two words stays as it is. A longer one, of another implementation, is hashed: its
    first two words are the key that the others are folded into, one by one.

    Args:
      key: typed or raw, of any implementation and with any leading axes; may be traced.

    Raises:
      ValueError: it is no PRNG key.
    """
    if key is None:
        return jax.device_put(seed_key(0))
    words = _words(key)
    # A step may donate the state, never the caller's key.
    return jnp.array(jax.device_put(words) if isinstance(words, np.ndarray) else words, copy=True)


def typed_key(key: chex.PRNGKey) -> jax.Array:
    """A key to draw with: a typed one as it is, a raw one as `raw_key` reads it.

    Raises:
      ValueError: it is no PRNG key.
    """
    return key if _is_typed(key) else _wrap(_words(key))


def fold_raw(key: chex.PRNGKey, data: Any) -> jax.Array:
    """``jax.random.fold_in`` of a key as `raw_key` reads it; again a raw key uint32[2]."""
    return jax.random.key_data(jax.random.fold_in(_wrap(_words(key)), data))


def split_raw(key: chex.PRNGKey) -> tuple[jax.Array, jax.Array]:
    """A typed key to draw with now, and the raw one that the state keeps."""
    draw_key, next_key = jax.random.split(_wrap(key))
    return draw_key, jax.random.key_data(next_key)


def with_key(state: Any, key: chex.PRNGKey) -> Any:
    """A transformation's state that draws from ``key``.

    Args:
      state: however nested; a PRNG key in it is the field ``key`` of a NamedTuple.
      key: as `raw_key` takes it.
    """
    place = jax.tree_util.GetAttrKey("key")
    return jax.tree.map_with_path(
        lambda path, leaf: raw_key(key) if path and path[-1] == place else leaf, state
    )


def _wrap(data: Any) -> jax.Array:
    return jax.random.wrap_key_data(data, impl=IMPLEMENTATION)


def _is_typed(key: Any) -> bool:
    return hasattr(key, "dtype") and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)


def _words(key: Any) -> Any:
    """The two words of a key, uint32[..., 2]."""
    data = _key_data(key)
    return data if data.shape[-1] == _WORDS else _folded(jax.device_put(data))


def _key_data(key: Any) -> Any:
    """All words of a key, uint32[..., words]."""
    if _is_typed(key):
        data = jax.random.key_data(key)
        return data.reshape(*key.shape, -1)
    if not hasattr(key, "dtype"):
        raise ValueError(f"key must be a PRNG key, such as jax.random.key(0), or None, got {key!r}")
    if key.dtype != jnp.uint32 or key.ndim == 0 or key.shape[-1] < _WORDS:
        raise ValueError(
            f"key must be a PRNG key, typed or raw uint32[..., 2], got {key.dtype}{list(key.shape)}"
        )
    return key


@jax.jit
def _folded(data: jax.Array) -> jax.Array:
    """Words uint32[..., n] hashed to uint32[..., 2]."""

    def fold(words: jax.Array) -> jax.Array:
        key = _wrap(words[:_WORDS])
        for word in words[_WORDS:]:
            key = jax.random.fold_in(key, word)
        return jax.random.key_data(key)

    return jnp.vectorize(fold, signature="(n)->(m)")(data)
