"""Connections between the devices of several processes, made while all of them wait.

Gloo, by which CPUs of several processes talk, connects a group of devices at its first collective,
and gives up where one of them comes half a minute later than another; an established group waits
for as long as it takes. Processes come apart where one compiles for longer, so every group that a
mesh has is made to talk before that.
"""

import itertools

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from masam_jax.training.storage.processes import agreed, barrier


def groups(mesh: Mesh) -> list[tuple[str, ...]]:
    """The axes of a mesh along which collectives go, alone and together."""
    split = [axis for axis in mesh.axis_names if mesh.shape[axis] > 1]
    return [
        chosen
        for count in range(1, len(split) + 1)
        for chosen in itertools.combinations(split, count)
    ]


def meet(mesh: Mesh) -> None:
    """Waits for all processes, then connects all groups of a mesh; nothing to do for one process.

    Args:
      mesh: of the devices of all processes.
    """
    if jax.process_count() == 1:
        return
    barrier("meet")
    agreed(0)
    jax.block_until_ready(sums(mesh))


def sums(mesh: Mesh) -> jax.Array:
    """A one of each device, summed over each of the `groups` in turn.

    Args:
      mesh: the devices.

    Returns:
      float32, one number for each device: the product of the groups' sizes.
    """
    whole = PartitionSpec(mesh.axis_names)

    def talk(number: jax.Array) -> jax.Array:
        for group in groups(mesh):
            number = jax.lax.psum(number, group)
        return number

    ones = jax.make_array_from_callback(
        (mesh.size,), NamedSharding(mesh, whole), lambda index: np.ones(1, np.float32)
    )
    return jax.jit(jax.shard_map(talk, mesh=mesh, in_specs=whole, out_specs=whole))(ones)
