"""Numbers of many arrays brought together, in a form that compiles quickly.

XLA's CPU backend copies a chain of scalar operations into every kernel that reads its result: with
one term for each parameter, and as many kernels, compiling a step takes time in the square of their
number (measured: a pair of ResNet-18, 62,000 additions and 50 s instead of a few). It also takes a
reduction of stacked scalars apart into such a chain, which the barrier keeps it from.
"""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp


def total(terms: Iterable[jax.Array], dtype: Any) -> jax.Array:
    """The sum of scalars of that dtype; 0 of none."""
    found = list(terms)
    if not found:
        return jnp.zeros((), dtype)
    return jax.lax.optimization_barrier(jnp.stack(found)).sum(dtype=dtype)


def all_finite(leaves: Iterable[jax.Array]) -> jax.Array:
    """Whether all numbers of all arrays are finite; True of none."""
    flags = [jnp.all(jnp.isfinite(leaf)) for leaf in leaves]
    if not flags:
        return jnp.ones((), bool)
    return jax.lax.optimization_barrier(jnp.stack(flags)).all()
