"""The processes of a run: how they find each other, and how all of them end where one does."""

import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator

import jax

from masam_jax.config import DistributionConfig
from masam_jax.config.errors import RunError
from masam_jax.training.cluster import own_devices
from masam_jax.training.common_stop import CommonStop
from masam_jax.training.peer_watch import PeerWatch
from masam_jax.training.service_loss import lost_service_calls
from masam_jax.training.storage.key_values import ServiceKeyValues
from masam_jax.training.storage.processes import barrier

# Seconds in which the watch finds a lost process, once it is suspected.
_VERDICT = 10


class ProcessGroup:
    """This process's place among those of a run.

    Attributes:
      process: which it is.
      processes: how many there are.
      stop: the point at which all of them stop.
      watch: over the others.
      is_broken: whether this process told the others to end, and has to end without them.
    """

    def __init__(self, config: DistributionConfig, farewell: Callable[[str], str]) -> None:
        """Of processes that are connected; watches nothing yet."""
        self.process = config.process_id
        self.processes = config.num_processes
        self.stop = CommonStop(self.process, self.processes)
        self.watch = PeerWatch(
            ServiceKeyValues(),
            self.process,
            self.processes,
            config.peer_timeout,
            self.stop,
            farewell,
        )
        self.is_broken = False
        self._patience = config.connect_timeout

    def check_same(self, option: str, value: object) -> None:
        """Process 0 says what it was given for an option; another one may have been told otherwise.

        Raises:
          RunError: it was.
        """
        values, key = ServiceKeyValues(), f"given/{option}"
        if self.process == 0:
            values.put(key, str(value))
            return
        limit = time.monotonic() + self._patience
        while (found := values.get(key)) is None and time.monotonic() < limit:
            time.sleep(0.05)
        if found != str(value):
            reason = f"was started with {option} {value}, process 0 with {found}"
            self.fail(reason, 2)
            raise RunError(
                f"process {self.process} {reason}; start all with the same, or, where they are runs"
                " of their own, with --cluster none"
            )

    def fail(self, reason: str, code: int) -> None:
        """This process ends; the others are told to, with an exit code."""
        if not self.is_broken:
            self.is_broken = True
            self.watch.tell(f"process {self.process} of {self.processes} {reason}", code)


_group: ProcessGroup | None = None


def process_group() -> ProcessGroup | None:
    """That of this process; None for a process that is alone."""
    return _group


def _plain(reason: str) -> str:
    return f"masam: {reason}."


def connect(config: DistributionConfig, farewell: Callable[[str], str] = _plain) -> None:
    """Connects this process to the others, and watches over them; nothing to do for one process.

    Must run before anything else touches a device. A process that is connected stays so.

    Args:
      config: the processes.
      farewell: what to say last where another process is lost, given why.

    Raises:
      RunError: the coordinator's port is taken, it does not answer, not all processes came, or they
        were told different numbers of them.
    """
    global _group
    if config.num_processes == 1 or _group is not None:
        return
    # The only collectives that CPU devices of several processes have; other backends ignore it.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # Its handler of SIGTERM would take the place of ours.
    jax.config.update("jax_enable_preemption_service", False)
    if config.process_id == 0:
        _check_port(str(config.coordinator_address))
    try:
        with lost_service_calls(_end_without_service):
            jax.distributed.initialize(
                config.coordinator_address,
                config.num_processes,
                config.process_id,
                own_devices(),
                # `masam_jax.training.cluster` has asked.
                cluster_detection_method="deactivate",
                initialization_timeout=config.connect_timeout,
                # The watch is to be first: what JAX does is to abort.
                heartbeat_timeout_seconds=max(100, 3 * config.peer_timeout),
            )
    except RuntimeError as error:
        raise RunError(
            f"process {config.process_id} of {config.num_processes} did not find all the others at"
            f" {config.coordinator_address} within {config.connect_timeout} s (--connect-timeout):"
            f" {str(error).splitlines()[0]}"
        ) from error
    group = ProcessGroup(config, farewell)
    _group = group
    group.check_same("--num-processes", group.processes)
    group.watch.start()


def _end_without_service() -> None:
    if _group is not None:
        _group.watch.end_without_service()


@contextlib.contextmanager
def joined(config: DistributionConfig, farewell: Callable[[str], str] = _plain) -> Iterator[None]:
    """While entered, this process is one of a run's, and the others end where it fails.

    Args:
      config: as for `connect`.
      farewell: likewise.

    Raises:
      RunError: as `connect`.
    """
    global _group
    connect(config, farewell)
    if _group is None:
        yield
        return
    try:
        yield
    except RunError as error:
        _group.fail(f"refused: {str(error).rstrip('.')}", 2)
        raise
    except KeyboardInterrupt as error:
        # Where all stop together, nobody has to be told.
        if not _group.stop.is_reached:
            number = getattr(error, "signal_number", signal.SIGINT)
            _group.fail(f"was stopped by {signal.Signals(number).name}", 128 + number)
            raise
        _leave()
        raise
    except BaseException as error:
        if isinstance(error, jax.errors.JaxRuntimeError):
            # Most likely another process is gone; then the watch ends this one.
            _group.watch.suspect()
            time.sleep(_VERDICT)
        _group.fail(f"failed: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}", 1)
        raise
    _leave()


def _leave() -> None:
    """Parts from the others, none of which has anything left to do."""
    global _group
    if _group is not None:
        barrier("end")
        _group.watch.close()
        jax.distributed.shutdown()
        _group = None


def _check_port(address: str) -> None:
    """JAX's service would share a port with another one, and both runs with each other."""
    port = int(address.rpartition(":")[2])
    with socket.socket() as trial:
        try:
            trial.bind(("", port))
        except OSError as error:
            raise RunError(
                f"port {port} of --coordinator-address {address} is in use here; choose another"
            ) from error
