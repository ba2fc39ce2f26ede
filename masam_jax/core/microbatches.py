"""Gradient accumulation: a batch in parts, one after the other, the means kept."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from masam_jax.core.collectives import vary


def split_microbatches(args: Any, count: int) -> Any:
    """Splits the leading axis of every array of ``args`` into ``count`` parts.

    Shapes ``[B, ...]`` become ``[count, B / count, ...]``.

    Raises:
      ValueError: the arrays differ in their leading axis, have none, or it does not split evenly.
    """
    leaves = jax.tree.leaves(args)
    sizes = {jnp.shape(leaf)[:1] for leaf in leaves}
    if len(sizes) != 1 or () in sizes:
        raise ValueError(
            "with microbatches every array given beside params must share its leading (batch)"
            f" axis; got shapes {[jnp.shape(leaf) for leaf in leaves]}. Close over, or broadcast to"
            " the batch, what is no batch, such as a key"
        )
    ((size,),) = sizes
    if size % count:
        raise ValueError(f"a batch of {size} does not split into {count} equal microbatches")
    return jax.tree.map(lambda leaf: leaf.reshape(count, size // count, *leaf.shape[1:]), args)


def mean_over_microbatches(
    function: Callable[[Any], tuple[Any, Any]], parts: Any, count: int, axis_name: Any = None
) -> tuple[Any, Any]:
    """Applies ``function`` to each part; means of its first result, its second stacked.

    On the CPU the parts are unrolled: a convolution's backward pass inside ``scan`` is 15 to 20
    times slower there than outside. Elsewhere ``scan`` keeps memory and compile time at one part's.

    Args:
      function: from one part to ``(to average, to stack)``, two trees of arrays.
      parts: a tree of arrays with a leading axis of ``count``.
      count: how many parts there are.
      axis_name: the mapped axes over which ``function``'s results differ.
    """
    if jax.default_backend() == "cpu":
        results = [function(jax.tree.map(lambda leaf: leaf[i], parts)) for i in range(count)]  # noqa: B023
        sums = jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *[r[0] for r in results])
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[r[1] for r in results])
    else:
        shapes, _ = jax.eval_shape(function, jax.tree.map(lambda leaf: leaf[0], parts))
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        start = vary(zeros, axis_name)

        def body(carried: Any, part: Any) -> tuple[Any, Any]:
            averaged, kept = function(part)
            return jax.tree.map(jnp.add, carried, averaged), kept

        sums, stacked = jax.lax.scan(body, start, parts)
    return jax.tree.map(lambda leaf: leaf / count, sums), stacked
