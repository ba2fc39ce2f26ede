"""float16 on processors whose instructions cannot convert it.

XLA's CPU backend calls a function for that which jaxlib does not have: with SSE4.2 alone no program
with a float16 in it can be loaded.
"""

import functools

import jax
import jax.numpy as jnp

_MISSING = "Failed to materialize symbols"


def lacks_float16(error: Exception) -> bool:
    """Whether that, and nothing else, is what failed."""
    return _MISSING in str(error) and not _converts()


@functools.cache
def _converts() -> bool:
    try:
        jax.jit(lambda x: x.astype(jnp.float16))(jnp.float32(1)).block_until_ready()
    except jax.errors.JaxRuntimeError:
        return False
    return True
