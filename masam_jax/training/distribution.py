"""Where arrays live: a mesh of all devices of all processes, over seeds, samples and parameters.

Without a mesh that is asked for, seeds are spread over the devices when their number divides
evenly, and need no communication then; otherwise the batch is. Gradients and metrics follow by
XLA's sharding propagation.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from masam_jax.config.mesh import AXES, Parallel, ShardingRule, write_mesh

_SEEDS, _DATA, _MODEL = AXES


@functools.cache
def _gathering(sharding: NamedSharding) -> Callable[[Any], Any]:
    return jax.jit(lambda tree: tree, out_shardings=sharding)


@dataclasses.dataclass(frozen=True)
class Placement:
    """How the arrays of a run are laid out.

    Attributes:
      mesh: the devices, along the axes ``"seeds"``, ``"data"`` and ``"model"``.
      rules: how parameters are split, see `masam_jax.training.parameter_layout`.
      parallel: how a step comes to its devices: "jit", by XLA's sharding propagation (and
        ``shard_map`` over seeds), or "pmap", see `masam_jax.training.mapped_step`.
    """

    mesh: Mesh
    rules: tuple[ShardingRule, ...] = ()
    parallel: Parallel = "jit"

    @functools.cached_property
    def seeds(self) -> NamedSharding:
        """Sharding of arrays with a leading axis of seeds ``[S, ...]``."""
        return NamedSharding(self.mesh, PartitionSpec(_SEEDS))

    @functools.cached_property
    def indices(self) -> NamedSharding:
        """Sharding of arrays of a batch ``[S, B, ...]``."""
        return NamedSharding(self.mesh, PartitionSpec(_SEEDS, _DATA))

    @functools.cached_property
    def replicated(self) -> NamedSharding:
        """Sharding of what every device holds whole."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def description(self) -> str:
        """Words for the terminal."""
        count, sizes = self.mesh.size, self.mesh.shape
        devices = f"{count} device{'s' * (count > 1)} ({self.mesh.devices.flat[0].platform})"
        words = {_SEEDS: "seeds", _DATA: "batch", _MODEL: "parameters"}
        split = [words[axis] for axis in AXES if sizes[axis] > 1]
        if not split:
            return devices
        *others, last = split
        how = "sharded" if self.parallel == "jit" else f"mapped by {self.parallel}"
        return f"{devices}, {' and '.join([', '.join(others), last][not others :])} {how}"

    @property
    def splits_parameters(self) -> bool:
        """Whether parameters may be split over devices."""
        return bool(self.rules) or self.mesh.shape[_MODEL] > 1

    @property
    def stacked_indices(self) -> NamedSharding:
        """Sharding of the index arrays ``[K, S, B]`` of several steps."""
        return NamedSharding(self.mesh, PartitionSpec(None, *self.indices.spec))

    @property
    def batch_shares(self) -> int:
        """Parts that a batch is split into, which its size must divide by."""
        return int(self.mesh.shape[_DATA])

    @property
    def batch_axis(self) -> str | None:
        """The axis of ``pmap`` over which a step averages; None where no step has to."""
        return _DATA if self.parallel == "pmap" and self.batch_shares > 1 else None

    def put(self, tree: Any, sharding: NamedSharding) -> Any:
        """Arrays that every process holds whole, laid out over the devices of all of them."""

        def place(array: np.ndarray) -> jax.Array:
            return _placed(array.shape, sharding, lambda index: array[index])

        if sharding.is_fully_addressable:
            return jax.device_put(tree, sharding)
        return jax.tree.map(lambda array: place(np.asarray(array)), tree)

    def box(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """The seeds and places of a batch ``[S, B]`` that this process's devices hold."""
        held = self.indices.addressable_devices_indices_map(shape).values()
        bounds = [
            [part.indices(size)[:2] for part, size in zip(index or (), shape, strict=True)]
            for index in held
        ]
        starts, stops = np.array(bounds).transpose(2, 0, 1)
        first, last = starts.min(axis=0), stops.max(axis=0)
        return slice(int(first[0]), int(last[0])), slice(int(first[1]), int(last[1]))

    def put_box(self, tree: Any, shape: tuple[int, int]) -> Any:
        """Arrays ``[S, B, ...]`` of which this process has its `box` alone, laid out like indices.

        Args:
          tree: the box's part of each array.
          shape: ``(S, B)`` of the whole.
        """
        box = self.box(shape)

        def place(array: np.ndarray) -> jax.Array:
            def part(index: tuple[slice, ...]) -> np.ndarray:
                local = [
                    slice(*(end - own.start for end in wanted.indices(size)[:2]))
                    for wanted, own, size in zip(index, box, shape, strict=False)
                ]
                return array[tuple(local)]

            return _placed((*shape, *array.shape[2:]), self.indices, part)

        return jax.tree.map(lambda array: place(np.asarray(array)), tree)

    def fetch(self, tree: Any) -> Any:
        """NumPy arrays on every process, of arrays wherever they live; all processes take part."""
        if jax.process_count() > 1:
            tree = _gathering(self.replicated)(tree)
        return jax.device_get(tree)


def _placed(
    shape: tuple[int, ...],
    sharding: NamedSharding,
    part: Callable[[tuple[slice, ...]], np.ndarray],
) -> jax.Array:
    """An array whose parts go to this process's devices one by one, each explicitly.

    `jax.make_array_from_callback` is what ``jax_transfer_guard`` calls an implicit transfer.
    """
    indices = sharding.addressable_devices_indices_map(shape)
    parts = [jax.device_put(part(index or ()), device) for device, index in indices.items()]
    return jax.make_array_from_single_device_arrays(shape, sharding, parts)


def make_placement(
    num_seeds: int,
    batch_size: int,
    devices: Sequence[jax.Device] | None = None,
    *,
    axes: Mapping[str, int] | None = None,
    rules: tuple[ShardingRule, ...] = (),
    parallel: Parallel = "jit",
) -> Placement:
    """Spreads seeds, batches and parameters over all devices.

    Args:
      num_seeds: S.
      batch_size: B.
      devices: the devices to use; all of all processes by default.
      axes: devices along each axis. When None, seeds are spread, or else the batch; one process
        falls back to the largest number of devices that divides either, several must all take part.
      rules: how parameters are split.
      parallel: how a step comes to its devices.

    Raises:
      ValueError: the mesh is not of as many devices, or seeds or batch do not divide by it; or
        several processes, and neither divides by their devices; or ``pmap`` cannot do it.
    """
    devices = list(jax.devices() if devices is None else devices)
    sizes = _automatic(num_seeds, batch_size, len(devices)) if axes is None else dict(axes)
    used = math.prod(sizes.values())
    if axes is not None:
        _check_axes(sizes, num_seeds, batch_size, len(devices))
    if parallel == "pmap":
        _check_mapped(sizes, rules)
    mesh = jax.make_mesh(
        tuple(sizes[axis] for axis in AXES),
        AXES,
        axis_types=(AxisType.Auto,) * len(AXES),
        devices=devices[:used],
    )
    return Placement(mesh, rules, parallel)


def _automatic(num_seeds: int, batch_size: int, count: int) -> dict[str, int]:
    fits = [n for n in range(count, 0, -1) if num_seeds % n == 0 or batch_size % n == 0]
    if jax.process_count() > 1 and fits[0] != count:
        raise ValueError(
            f"neither {num_seeds} seeds nor a batch of {batch_size} divide by the {count} devices"
            f" of {jax.process_count()} processes: choose --seeds or --batch-size accordingly"
        )
    axis = _SEEDS if num_seeds % fits[0] == 0 else _DATA
    return {**dict.fromkeys(AXES, 1), axis: fits[0]}


def _check_axes(sizes: Mapping[str, int], num_seeds: int, batch_size: int, count: int) -> None:
    needed, named = math.prod(sizes.values()), write_mesh(sizes)
    if needed != count:
        there = f"{count} device{'s' * (count != 1)}"
        raise ValueError(f"mesh {named} is of {needed} devices, and there are {there}")
    if num_seeds % sizes[_SEEDS]:
        raise ValueError(
            f"mesh {named}: {num_seeds} seeds do not divide by {sizes[_SEEDS]}; choose --seeds"
            " accordingly"
        )
    if batch_size % sizes[_DATA]:
        raise ValueError(
            f"mesh {named}: a batch of {batch_size} does not divide by {sizes[_DATA]}; choose"
            " --batch-size accordingly"
        )


def _check_mapped(sizes: Mapping[str, int], rules: tuple[ShardingRule, ...]) -> None:
    if jax.process_count() > 1:
        raise ValueError(
            f"parallel=pmap is of one process, and there are {jax.process_count()}; leave it out"
        )
    if rules or sizes[_MODEL] > 1:
        raise ValueError(
            "parallel=pmap keeps parameters whole; leave it out, or --shard-parameters and the axis"
            " model of --mesh"
        )
    if sizes[_SEEDS] > 1 and sizes[_DATA] > 1:
        raise ValueError(
            f"parallel=pmap maps over seeds or over data, and mesh {write_mesh(sizes)} has both;"
            " leave it out, or one of them"
        )
