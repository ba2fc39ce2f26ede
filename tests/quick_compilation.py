"""Less time for compiling, in the tests and in the processes that tests start.

Most programs of the tests run for milliseconds, and compiling them is most of the suite's time.
XLA's older generator of CPU code, LLVM's lowest level of optimization and no Python tracebacks in
the programs halve it. Where ``XLA_FLAGS`` is set already, it stays as it is: ``XLA_FLAGS= make
test`` runs what users run.
"""

import os

import jax

_QUICK = "--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0"


def compile_quickly(devices: int) -> None:
    """Makes this process compile so, for that many fake CPU devices.

    XLA reads its flags once, when jax starts its backend.
    """
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = _on_devices(os.environ.get("XLA_FLAGS", _QUICK), devices)
    os.environ["JAX_TRACEBACK_IN_LOCATIONS_LIMIT"] = "0"
    jax.config.update("jax_traceback_in_locations_limit", 0)


def child_environment(devices: int = 1, **variables: str) -> dict[str, str]:
    """The environment of a process that a test starts, with further variables."""
    flags = _on_devices(os.environ["XLA_FLAGS"], devices)
    return {**os.environ, "XLA_FLAGS": flags, **variables}


def _on_devices(flags: str, devices: int) -> str:
    name = "--xla_force_host_platform_device_count="
    others = [flag for flag in flags.split() if not flag.startswith(name)]
    return " ".join([*others, f"{name}{devices}"])
