"""Where arrays live: one axis over all devices of all processes.

Seeds are spread over the devices when their number divides evenly, and need no communication then;
otherwise the batch is. Parameters, gradients and metrics follow by XLA's sharding propagation.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from masam_jax.config import DistributionConfig
from masam_jax.config.errors import RunError

_AXIS = "devices"


def initialize(config: DistributionConfig) -> None:
    """Connects this process to the others; nothing to do for one process.

    Must run before anything else touches a device.

    Raises:
      RunError: the coordinator does not answer.
    """
    if config.num_processes == 1:
        return
    # The only collectives that CPU devices of several processes have; other backends ignore it.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            config.coordinator_address, config.num_processes, config.process_id
        )
    except RuntimeError as error:
        raise RunError(
            f"process {config.process_id} of {config.num_processes} found no coordinator at"
            f" {config.coordinator_address}: {error}"
        ) from error


@functools.cache
def _gathering(sharding: NamedSharding) -> Callable[[Any], Any]:
    return jax.jit(lambda tree: tree, out_shardings=sharding)


@dataclasses.dataclass(frozen=True)
class Placement:
    """How the arrays of a run are laid out.

    Attributes:
      mesh: one axis, ``"devices"``.
      seeds: sharding of arrays with a leading axis of seeds ``[S, ...]``.
      indices: sharding of index arrays ``[S, B]``.
      replicated: sharding of what every device holds whole.
    """

    mesh: Mesh
    seeds: NamedSharding
    indices: NamedSharding
    replicated: NamedSharding

    @property
    def description(self) -> str:
        """Words for the terminal."""
        count = self.mesh.size
        if count == 1:
            return f"1 device ({self.mesh.devices.flat[0].platform})"
        axis = "seeds" if self.seeds.spec != PartitionSpec() else "batch"
        return f"{count} devices ({self.mesh.devices.flat[0].platform}), {axis} sharded"

    @property
    def stacked_indices(self) -> NamedSharding:
        """Sharding of the index arrays ``[K, S, B]`` of several steps."""
        return NamedSharding(self.mesh, PartitionSpec(None, *self.indices.spec))

    @property
    def batch_shares(self) -> int:
        """Parts that a batch is split into, which its size must divide by."""
        return 1 if self.indices.is_equivalent_to(self.seeds, 2) else self.mesh.size

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
    num_seeds: int, batch_size: int, devices: Sequence[jax.Device] | None = None
) -> Placement:
    """Spreads seeds, or else the batch, over all devices.

    One process falls back to the largest number of devices that divides either; several processes
    must all take part.

    Args:
      num_seeds: S.
      batch_size: B.
      devices: the devices to use; all of all processes by default.

    Raises:
      ValueError: several processes, and neither seeds nor batch divide by their devices.
    """
    devices = list(jax.devices() if devices is None else devices)
    count = len(devices)
    fits = [n for n in range(count, 0, -1) if num_seeds % n == 0 or batch_size % n == 0]
    if jax.process_count() > 1 and fits[0] != count:
        raise ValueError(
            f"neither {num_seeds} seeds nor a batch of {batch_size} divide by the {count} devices"
            f" of {jax.process_count()} processes: choose --seeds or --batch-size accordingly"
        )
    used = fits[0]
    mesh = jax.make_mesh((used,), (_AXIS,), axis_types=(AxisType.Auto,), devices=devices[:used])
    whole = NamedSharding(mesh, PartitionSpec())
    if used == 1:
        return Placement(mesh, whole, whole, whole)
    by_seed = NamedSharding(mesh, PartitionSpec(_AXIS))
    if num_seeds % used == 0:
        return Placement(mesh, by_seed, by_seed, whole)
    return Placement(mesh, whole, NamedSharding(mesh, PartitionSpec(None, _AXIS)), whole)
