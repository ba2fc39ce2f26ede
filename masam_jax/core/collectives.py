"""Means over the devices of ``pmap`` and ``shard_map``."""

from typing import Any

import chex
import jax


def average(tree: chex.ArrayTree, axis_name: Any) -> Any:
    """The mean of every leaf over the mapped axis, or axes, ``axis_name``; ``tree`` for None."""
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


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
