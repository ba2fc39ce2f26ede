"""The Ray cluster that trials are trained on, and how many workers it has room for."""

import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from masam_jax.config.engine import RayEngine
from masam_jax.config.errors import RunError
from masam_jax.core.extras import install_extras
from masam_jax.core.specs import write_options

# Seconds that Ray gives its own start: its 30 are too few for a machine that is busy.
_START = ("RAY_raylet_start_wait_time_s", "120")
# Seconds for a cluster's head to answer; Ray itself would try for minutes.
_ANSWER = 5.0
# The variable that names a cluster, as for all programs of Ray; and what stands for no address.
_VARIABLE = "RAY_ADDRESS"
_WORDS = ("auto", "local")


class Room(NamedTuple):
    """What a cluster has room for.

    Attributes:
      workers: how many.
      gpus: that each is given.
    """

    workers: int
    gpus: int


def import_ray() -> Any:
    """The package ``ray``.

    Raises:
      RunError: it is missing.
    """
    os.environ.setdefault(*_START)  # Read when Ray is imported.
    try:
        import ray
    except ModuleNotFoundError as error:
        raise RunError(f"engine 'ray' needs {error.name}: {install_extras('ray')}") from error
    return ray


def check_address(ray: Any) -> None:
    """Checks that something answers at ``$RAY_ADDRESS``, where there is one to connect to.

    Raises:
      RunError: the address is none, or nothing answers there.
    """
    address = os.environ.get(_VARIABLE)
    if address and address not in _WORDS and not ray.is_initialized():
        _probe(address)


@contextmanager
def open_cluster(ray: Any, engine: RayEngine) -> Iterator[None]:
    """Connects to ``$RAY_ADDRESS``, or starts a cluster of this machine; unless the session has.

    Raises:
      RunError: the address is none, or nothing answers there; or Ray does not start.
    """
    if ray.is_initialized():
        yield
        return
    address = os.environ.get(_VARIABLE)
    sizes: dict[str, Any] = {"address": address}
    if not address:
        cpus = max(engine.cpus * (engine.workers or 1), os.cpu_count() or 1)
        sizes = {"address": "local", "num_cpus": cpus, "include_dashboard": False}
    check_address(ray)
    try:
        try:
            with warnings.catch_warnings():
                # Ray's processes are programs of their own, and run none of this one's code.
                warnings.filterwarnings("ignore", r"os\.fork\(\) was called", RuntimeWarning)
                ray.init(**sizes, log_to_driver=False, logging_level="ERROR")
        except Exception as error:  # Ray raises bare ones.
            where = f"reach the cluster of {_VARIABLE}={address}" if address else "start"
            raise RunError(f"Ray could not {where}: {first_line(error)}") from error
        yield
    finally:
        ray.shutdown()


def find_room(ray: Any, engine: RayEngine) -> Room:
    """How many workers the cluster takes, whatever else may run there now.

    Raises:
      RunError: none, or fewer than were asked for.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    gpus = engine.gpus
    if gpus is None:
        gpus = int(any(node.get("GPU", 0) >= 1 for node in nodes))
    room = sum(_workers(node, engine.cpus, gpus) for node in nodes)
    if room < (engine.workers or 1):
        has = {kind: sum(int(node.get(kind, 0)) for node in nodes) for kind in ("CPU", "GPU")}
        raise RunError(
            f"engine 'ray:{write_options(engine)}': the cluster has room for {room} workers of"
            f" {engine.cpus} CPUs and {gpus} GPUs; it has {has['CPU']} CPUs and {has['GPU']} GPUs"
        )
    return Room(room, gpus)


def first_line(error: BaseException) -> str:
    """What an error says, in short."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _probe(address: str) -> None:
    """Raises unless something answers at ``host:port``."""
    host, _, port = address.rpartition(":")
    # Ray's client, ray://, has no streams of what a worker tells.
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise RunError(
            f"{_VARIABLE}={address} is not accepted: expected host:port of the cluster's head"
            " (often port 6379), auto or local"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
    except OSError as error:
        raise RunError(
            f"Ray could not reach the cluster of {_VARIABLE}={address}: {first_line(error)}"
        ) from error


def _workers(node: dict[str, float], cpus: int, gpus: int) -> int:
    """How many workers a machine takes."""
    room = int(node.get("CPU", 0) // cpus)
    return min(room, int(node.get("GPU", 0) // gpus)) if gpus else room
