"""A loss at many points of a plane, or a line, through parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from masam_jax.core.numerics import accumulation_dtype
from masam_jax.core.specs import check_sizes
from masam_jax.geometry.derivatives import LossFn

_AXIS = "points"


def losses_at(
    loss_fn: LossFn,
    params: optax.Params,
    directions: Sequence[optax.Params],
    coordinates: np.ndarray,
    batches: Sequence[Any],
    *,
    chunk: int | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Iterator[np.ndarray]:
    r"""The mean loss over batches at $\theta + \sum_d c_d\, \delta_d$, chunk after chunk.

    Args:
      loss_fn: ``(params, batch) -> scalar``.
      params: θ.
      directions: D trees like ``params``.
      coordinates: float ``[n, D]``.
      batches: of one shape each way that compiles; weighted alike.
      chunk: points that a device takes at once, under ``vmap``; all of them are in memory with
        their activations. 1 takes one after the other without ``vmap``: convolutions want that on
        XLA's CPU backend, where one over several kernels is slow. When None, 1 for parameters that
        convolve on the CPU, 16 for all others.
      devices: who share the points of a chunk; all of this process's by default.

    Yields:
      float64 losses of ``chunk`` times as many points as devices, the last of what is left.

    Raises:
      ValueError: a chunk below 1.
    """
    devices = list(jax.local_devices() if devices is None else devices)
    size = default_chunk(params, devices[0].platform) if chunk is None else chunk
    check_sizes(chunk=size)
    step = size * len(devices)
    program, directions = _program(loss_fn, size, tuple(devices)), tuple(directions)
    if len(devices) > 1:
        # Once, rather than at every call.
        everywhere = NamedSharding(_mesh(tuple(devices)), PartitionSpec())
        params, directions = jax.device_put((params, directions), everywhere)
    for start in range(0, len(coordinates), step):
        part = coordinates[start : start + step]
        padded = np.pad(part, ((0, step - len(part)), (0, 0)), mode="edge")
        padded, total = padded.astype(accumulation_dtype(params)), np.zeros(step)
        for batch in batches:
            found = program(params, directions, padded, batch)
            total += np.asarray(found, np.float64)
        yield total[: len(part)] / len(batches)


def default_chunk(params: optax.Params, platform: str) -> int:
    """Points at once: 1 where parameters are kernels of convolutions on the CPU, else 16."""
    convolves = any(jnp.ndim(leaf) > 2 for leaf in jax.tree.leaves(params))
    return 1 if convolves and platform == "cpu" else 16


@functools.lru_cache(maxsize=16)
def _program(loss_fn: LossFn, size: int, devices: tuple[jax.Device, ...]) -> Callable[..., Any]:
    def one(params: Any, directions: Any, point: jax.Array, batch: Any) -> jax.Array:
        def moved(leaf: jax.Array, *along: jax.Array) -> jax.Array:
            steps = (c.astype(leaf.dtype) * d for c, d in zip(point, along, strict=True))
            return sum(steps, leaf)

        return loss_fn(jax.tree.map(moved, params, *directions), batch)

    def some(params: Any, directions: Any, points: jax.Array, batch: Any) -> jax.Array:
        if size == 1:
            return one(params, directions, points[0], batch)[None]
        return jax.vmap(one, in_axes=(None, None, 0, None))(params, directions, points, batch)

    if len(devices) == 1:
        return jax.jit(some)
    whole, shared = PartitionSpec(), PartitionSpec(_AXIS)
    mapped = jax.shard_map(
        some,
        mesh=_mesh(devices),
        in_specs=(whole, whole, shared, whole),
        out_specs=shared,
        check_vma=False,
    )
    return jax.jit(mapped)


def _mesh(devices: tuple[jax.Device, ...]) -> Mesh:
    return Mesh(np.array(devices), (_AXIS,))
