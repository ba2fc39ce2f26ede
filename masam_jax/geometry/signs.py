"""Random signs, of which each number is +1 or -1."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from masam_jax.core.extras import needs

with needs("masam_jax.geometry", "geometry"):
    from matfree import stochtrace


@functools.partial(jax.jit, static_argnames=("size", "dtype"))
def random_signs(key: jax.Array, size: int, dtype: Any) -> jax.Array:
    """A vector of them, in a program of its own: XLA's CPU backend compiles a joint one slowly."""
    (signs,) = stochtrace.sampler_signs(jnp.zeros(size, dtype), num=1)(key)
    return signs
