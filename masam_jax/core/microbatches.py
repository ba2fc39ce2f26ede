"""Gradient accumulation: a batch in parts, one after the other, the means kept."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from masam_jax.core.collectives import vary
from masam_jax.core.numerics import is_narrow, is_traced, platform_of
from masam_jax.core.reused_keys import clone_keys

Function = Callable[[Any], tuple[Any, Any]]


def split_microbatches(args: Any, count: int) -> Any:
    """Splits the leading axis of every array of ``args`` into ``count`` parts.

    Shapes ``[B, ...]`` become ``[count, B / count, ...]``. Part i holds the samples i, i + count,
    i + 2 count, …: of a batch that lies over several devices, each device's own.

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

    for leaf in leaves:
        devices = _explicit_parts(leaf)
        if size // count % devices:
            raise ValueError(
                f"{count} microbatches of a batch of {size} have {size // count} samples each,"
                f" which the {devices} devices that the batch lies over (an Explicit mesh)"
                f" cannot share: take batches of a multiple of {count * devices}, or fewer"
                " microbatches"
            )

    def split(leaf: Any) -> jax.Array:
        return jnp.moveaxis(leaf.reshape(size // count, count, *leaf.shape[1:]), 1, 0)

    # For jax_debug_key_reuse, a transposition uses the keys up.
    return clone_keys(jax.tree.map(split, args))


def _explicit_parts(leaf: Any) -> int:
    """Over how many devices the type of an array says that its leading axis lies."""
    sharding = jax.typeof(leaf).sharding
    names = sharding.spec[0] if sharding.spec else None
    axes = names if isinstance(names, tuple) else (names,)
    return math.prod(sharding.mesh.shape[name] for name in axes if name is not None)


def first_part(parts: Any) -> Any:
    """The first of the parts that `split_microbatches` made."""
    return _part(parts, 0)


def mean_over_microbatches(
    function: Function, parts: Any, count: int, axis_name: Any = None
) -> tuple[Any, Any]:
    """Applies ``function`` to each part; means of its first result, its second stacked.

    On the CPU the parts are unrolled: a convolution's backward pass inside ``scan`` is 15 to 20
    times slower there than outside. Elsewhere ``scan`` keeps memory and compile time at one part's.
    A traced program holds both, of which the lowering keeps the one for its platform.

    Args:
      function: from one part to ``(to average, to stack)``, two trees of arrays.
      parts: a tree of arrays with a leading axis of ``count``.
      count: how many parts there are.
      axis_name: the mapped axes over which ``function``'s results differ.
    """
    if not is_traced(parts):
        # Platforms of a program are told apart by a branch, which would be compiled at every call.
        run = _unrolled if platform_of(parts) == "cpu" else _scanned
        return run(function, parts, count, axis_name)
    traced_once = jax.jit(function)
    return jax.lax.platform_dependent(
        parts,
        cpu=lambda each: _unrolled(traced_once, each, count, axis_name),
        default=lambda each: _scanned(traced_once, each, count, axis_name),
    )


def _unrolled(function: Function, parts: Any, count: int, axis_name: Any) -> tuple[Any, Any]:
    results = [function(_part(parts, i)) for i in range(count)]
    # As the scan does: of values that differ over the devices in no part.
    sums = jax.tree.map(
        lambda *leaves: sum(leaves[1:], leaves[0]), *[_widen(r[0]) for r in results]
    )
    means = _mean(sums, count, results[0][0])
    return vary(means, axis_name), jax.tree.map(lambda *ls: jnp.stack(ls), *[r[1] for r in results])


def _scanned(function: Function, parts: Any, count: int, axis_name: Any) -> tuple[Any, Any]:
    shapes, _ = jax.eval_shape(lambda each: function(first_part(each)), parts)
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, _wide(s.dtype), device=s.sharding), shapes)

    def body(carried: Any, part: Any) -> tuple[Any, Any]:
        averaged, kept = function(part)
        return jax.tree.map(jnp.add, carried, _widen(averaged)), kept

    sums, stacked = jax.lax.scan(body, vary(zeros, axis_name), parts)
    return _mean(sums, count, shapes), stacked


def _wide(dtype: Any) -> Any:
    """float32 for a narrower dtype: a few float16 gradients may have no sum in their own."""
    return jnp.dtype("float32") if is_narrow(dtype) else dtype


def _widen(tree: Any) -> Any:
    return jax.tree.map(lambda x: x.astype(_wide(x.dtype)), tree)


def _mean(sums: Any, count: int, like: Any) -> Any:
    return jax.tree.map(lambda leaf, one: (leaf / count).astype(one.dtype), sums, like)


def _part(parts: Any, index: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], parts)
