"""TPUs that the compiler knows without one being there, and what their makers say that they do.

Needs the extra ``tpu``: libtpu holds the compiler, and compiles for any of them on a CPU.
"""

import dataclasses
import functools
import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.experimental.compilation_cache import compilation_cache


@dataclasses.dataclass(frozen=True)
class Chip:
    """Published rates of one chip.

    Attributes:
      name: as Cloud TPU calls it.
      flops: operations a second in bfloat16, at most.
      hbm_bytes: memory.
      hbm_rate: bytes a second between memory and the chip.
      link_rate: bytes a second that a chip within a torus sends to all its neighbours together.
      source: where these are published.
    """

    name: str
    flops: float
    hbm_bytes: int
    hbm_rate: float
    link_rate: float
    source: str


_DOCS = "https://docs.cloud.google.com/tpu/docs/"
CHIPS = {
    # The page has no rate of links, but 1.1 PB/s of all-reduce over 4096 chips.
    "v4": Chip("v4", 275e12, 32 * 2**30, 1200e9, 1.1e15 / 4096, _DOCS + "v4"),
    # Rates of links are of both directions together on these pages.
    "v5e": Chip("v5e", 197e12, 16 * 10**9, 819e9, 400e9 / 2, _DOCS + "v5e"),
    "v5p": Chip("v5p", 459e12, 95 * 10**9, 2765e9, 1200e9 / 2, _DOCS + "v5p"),
    "v6e": Chip("v6e", 918e12, 32 * 10**9, 1600e9, 800e9 / 2, _DOCS + "v6e"),
}
"""By the first part of a topology's name."""

TOPOLOGIES = ("v5e:2x4", "v4:2x2x2", "v6e:2x4", "v5p:2x2x2")
"""Eight chips of each kind."""

# A chip of v4 has two cores, which are one device on Cloud TPU, and two in libtpu's default.
_CONFIGURATIONS = {"v4": {"chip_config_name": "megacore"}}


def has_compiler() -> bool:
    """Whether libtpu is installed."""
    return importlib.util.find_spec("libtpu") is not None


@functools.cache
def devices_of(topology: str) -> Sequence[jax.Device]:
    """The chips of a topology, which programs can be compiled for and not run on.

    Args:
      topology: ``CHIP:SHAPE``, such as ``v5e:2x4``.

    Raises:
      ValueError: libtpu is not installed, or does not know the topology.
    """
    if not has_compiler():
        raise ValueError("compiling for TPUs needs libtpu: pip install 'masam-jax[tpu]'")
    chip, colon, _ = topology.partition(":")
    if chip not in CHIPS or not colon:
        names = ", ".join(f"{name}:SHAPE" for name in CHIPS)
        raise ValueError(f"topology must be one of {names}, got {topology!r}")
    # Without them libtpu asks the metadata server of a machine in the cloud.
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", "v5litepod-8")
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    # Processes that only compile need not wait for each other, as those that hold a TPU must.
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    try:
        with _without_flags():
            found = topologies.get_topology_desc(
                platform="tpu", topology_name=topology, **_CONFIGURATIONS.get(chip, {})
            )
            _compile_something(found.devices[0])
    except jax.errors.JaxRuntimeError as error:
        raise ValueError(f"libtpu has no topology {topology!r}: {error}") from error
    return tuple(found.devices)


def compile_only(lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    """A program for chips that are not there, which a cache of programs could not give back."""
    enabled = jax.config.values["jax_enable_compilation_cache"]
    _use_cache(False)
    try:
        return lowered.compile()
    finally:
        _use_cache(enabled)


def _use_cache(enabled: bool) -> None:
    jax.config.update("jax_enable_compilation_cache", enabled)
    # Whether it is used is decided once.
    compilation_cache.reset_cache()


def _compile_something(device: jax.Device) -> None:
    """The compiler reads its flags when it is first used."""
    sharding = jax.sharding.SingleDeviceSharding(device)
    scalar = jax.ShapeDtypeStruct((), jnp.float32, sharding=sharding)
    compile_only(jax.jit(jnp.negative).lower(scalar))


@contextmanager
def _without_flags() -> Iterator[None]:
    """Lets libtpu load: it ends the process at a flag in ``XLA_FLAGS`` that only the CPU has."""
    jax.devices("cpu")  # Which has read them then.
    flags = os.environ.pop("XLA_FLAGS", None)
    try:
        yield
    finally:
        if flags is not None:
            os.environ["XLA_FLAGS"] = flags
