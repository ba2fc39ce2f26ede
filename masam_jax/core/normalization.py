"""The normalisation operators of ASAM: how far one weight may go for what another goes."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp


def elementwise(param: jax.Array, eta: Any) -> jax.Array:
    """``|w| + η`` of every weight, and 1 for a bias: a leaf of fewer than two dimensions."""
    if param.ndim < 2:
        return jnp.ones_like(param)
    return jnp.abs(param) + jnp.asarray(eta, param.dtype)


def filterwise(param: jax.Array, eta: Any) -> jax.Array:
    """``‖f‖₂ + η`` of every weight of a filter f, and ``|w| + η`` in leaves of fewer than two axes.

    A filter is what makes one output: all axes but the last, as Flax's kernels have it.
    """
    size = jnp.abs(param)
    if param.ndim >= 2:
        axes = tuple(range(param.ndim - 1))
        size = jnp.sqrt(jnp.sum(param * param, axis=axes, keepdims=True))
    return jnp.broadcast_to(size + jnp.asarray(eta, param.dtype), param.shape)


def by_filters(
    params: Sequence[jax.Array], gradients: Sequence[jax.Array], eta: Any, dtype: Any
) -> tuple[list[jax.Array], list[jax.Array]]:
    """``T g`` and ``T² g`` of leaves, with T of `filterwise`.

    Args:
      params: the leaves that T is of.
      gradients: the leaves of g.
      eta: η.
      dtype: in which both are computed.
    """
    operators = [filterwise(jnp.asarray(param).astype(dtype), eta) for param in params]
    once = [t * g.astype(dtype) for t, g in zip(operators, gradients, strict=True)]
    return once, [t * g for t, g in zip(operators, once, strict=True)]
