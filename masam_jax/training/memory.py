"""Whether the state of a run fits into the memory of its devices."""

import math
import os
from typing import Any

import jax


def check_memory(state: Any) -> None:
    """Refuses a state that fits into no memory; one that just fits may still not train.

    Every device must hold its part of each array: the whole of one that is not split. Devices are
    taken to have as much memory as the smallest of this process's. Those that do not say how much
    they have, as CPUs, share the machine's.

    Args:
      state: shapes, dtypes and shardings.

    Raises:
      ValueError: a device would have to hold more than there is.
    """
    leaves = jax.tree.leaves(state)
    sizes = [math.prod(leaf.sharding.shard_shape(leaf.shape)) for leaf in leaves]
    needed = sum(size * leaf.dtype.itemsize for size, leaf in zip(sizes, leaves, strict=True))
    devices = leaves[0].sharding.addressable_devices
    there, where = min(map(_limit, devices)), "a device has"
    if not there:
        needed, there, where = needed * len(devices), _of_machine(), "there are"
    if there and needed > there:
        raise ValueError(
            f"the state takes {needed / 2**30:,.0f} GiB, and {where} {there / 2**30:,.0f}: fewer"
            " --seeds, a smaller --width or --depth, or a --mesh that splits parameters need less"
        )


def _limit(device: jax.Device) -> int:
    """Bytes of a device; 0 where it does not say."""
    return int((device.memory_stats() or {}).get("bytes_limit", 0))


def _of_machine() -> int:
    """Bytes of this machine; 0 where it does not say."""
    if not hasattr(os, "sysconf"):
        return 0
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
