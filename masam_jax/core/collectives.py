"""Means over the devices of ``pmap`` and ``shard_map``."""

from typing import Any

import chex
import jax
import jax.numpy as jnp


def average(tree: chex.ArrayTree, axis_name: Any) -> Any:
    """The mean of every leaf over the mapped axis, or axes, ``axis_name``; ``tree`` for None."""
    if axis_name is None:
        return tree
    # The sum of a few float16 gradients may be none; bfloat16 has float32's range.
    half = jnp.dtype("float16")
    wide = jax.tree.map(lambda x: x.astype(jnp.float32) if x.dtype == half else x, tree)
    means = jax.lax.pmean(wide, axis_name)
    return jax.tree.map(lambda mean, x: mean.astype(x.dtype), means, tree)


def agree(index: jax.Array, axis_name: Any) -> jax.Array:
    """The largest of the devices' indices, on all of them.

    Before a branch that holds a collective: devices in different ones would wait for ever.
    """
    return jax.lax.pmax(vary(index, axis_name), axis_name)


def any_of(flags: jax.Array, axis_name: Any) -> jax.Array:
    """Whether any of the flags is set, on any device of the mapped axis; on this one for None."""
    here = jnp.any(flags)
    return here if axis_name is None else agree(here.astype(jnp.int32), axis_name) > 0


def vary(tree: chex.ArrayTree, axis_name: Any) -> Any:
    """Marks replicated values as each device's own.

    ``shard_map`` sums the gradient of a replicated value over the devices by itself; a value marked
    so gets this device's gradient, and the mean is taken once, by `average`.
    """
    return tree if axis_name is None else jax.tree.map(lambda x: _vary_leaf(x, axis_name), tree)


def _vary_leaf(leaf: Any, axis_name: Any) -> Any:
    for name in axis_name if isinstance(axis_name, tuple) else (axis_name,):
        try:
            leaf = jax.lax.pcast(leaf, name, to="varying")
        except ValueError:  # it varies already, or the axis is vmap's, which keeps no such marks
            continue
    return leaf
