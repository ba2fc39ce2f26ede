"""The directory of a run: whose it is, who writes into it, and whether a run may go on there."""

import os
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from masam_jax.config import OutputConfig, changed_fields
from masam_jax.config.errors import RunError
from masam_jax.training.storage.atomic_files import plain, read_json, write_json
from masam_jax.training.storage.processes import barrier, is_primary

FORMAT = "masam_jax run 2"
_LOCK = ".lock"


class RunDirectory:
    """A run directory, open for writing by this process alone.

    Attributes:
      path: the directory.
      resumed: whether it holds an earlier session of this run.
    """

    def __init__(self, path: Path, resumed: bool, lock: int | None) -> None:
        self.path = path
        self.resumed = resumed
        self._lock = lock

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(self, *error: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def open_run(output: OutputConfig, config: dict[str, Any]) -> RunDirectory:
    """Makes a run directory, or goes on in one.

    Args:
      output: where, and what to do with what is there.
      config: the run's configuration; written to ``config.json``, or compared with it.

    Raises:
      RunError: the directory holds a run and neither ``resume`` nor ``overwrite`` is set, holds
        something else, is in use, or its configuration differs.
      OSError: it cannot be written.
    """
    config = {"format": FORMAT, **plain(config)}
    path = Path(output.output) if output.output is not None else _new_path(config["kind"])
    if not is_primary():
        barrier("run directory")
        return RunDirectory(path, output.resume, None)
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file; a directory is needed")
    path.mkdir(parents=True, exist_ok=True)
    lock = _take_lock(path)
    try:
        resumed = _prepare(path, output, config)
        if not resumed:
            write_json(path / "config.json", config)
    except BaseException:
        if lock is not None:
            os.close(lock)
        raise
    barrier("run directory")
    return RunDirectory(path, resumed, lock)


def read_config(path: Path) -> dict[str, Any]:
    """The ``config.json`` of a run directory.

    Raises:
      RunError: the directory does not exist, or is none of ours.
    """
    if not path.is_dir():
        raise RunError(f"{path} is no directory; expected a run directory")
    if not (path / "config.json").is_file():
        raise RunError(f"{path} is not a run directory of masam_jax: it has no config.json")
    config = read_json(path / "config.json")
    if config.get("format") != FORMAT:
        raise RunError(
            f"{path} is not a run directory of masam_jax: its config.json has format"
            f" {config.get('format')!r}, expected {FORMAT!r}"
        )
    return config


def is_locked(path: Path) -> bool:
    """Whether a process is writing into the run directory now."""
    if not (path / _LOCK).exists():
        return False
    try:
        lock = _take_lock(path)
    except RunError:
        return True
    if lock is not None:
        os.close(lock)
    return False


def _prepare(path: Path, output: OutputConfig, config: dict[str, Any]) -> bool:
    """Whether a run is there to go on with; what stands in the way is refused or removed."""
    present = sorted(entry for entry in path.iterdir() if entry.name != _LOCK)
    if not present:
        if output.resume:
            path.joinpath(_LOCK).unlink(missing_ok=True)
            path.rmdir()
            raise RunError(f"{path} holds no run to resume; leave --resume out to start one")
        return False
    found = read_config(path)
    if output.overwrite:
        for entry in present:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        return False
    if not output.resume:
        raise RunError(
            f"{path} holds a run already: --resume goes on with it, --overwrite deletes it, another"
            " --output keeps it"
        )
    changes = changed_fields(found, config)
    if changes:
        raise RunError(
            f"{path} is a run of another configuration: {'; '.join(changes)}. Resume with the same"
            " options, or start another run with another --output"
        )
    return True


def _take_lock(path: Path) -> int | None:
    """A lock that the system releases when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # No such thing on this system: two writers are the user's care.
        return None
    descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise RunError(f"{path} is in use by another process") from error
    return descriptor


def _new_path(kind: str) -> Path:
    return Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{kind}"
