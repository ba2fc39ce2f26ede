"""The directory of a run: whose it is, who writes into it, and whether a run may go on there.

``config.json`` is what makes it one. A session may be killed at any moment. What it leaves is a
directory without that file, which counts as empty; a whole run; or, with ``--overwrite``, a
``config.json`` that says that the rest is being deleted: written first, replaced last.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from masam_jax.config import Longer, OutputConfig, added_length, changed_fields, completed
from masam_jax.config.errors import RunError
from masam_jax.training.storage.atomic_files import (
    is_unfinished,
    plain,
    read_json,
    remove_unfinished,
    write_json,
)
from masam_jax.training.storage.buckets.bucket import is_bucket
from masam_jax.training.storage.processes import barrier, is_primary

_KIND = "masam_jax run"
FORMAT = f"{_KIND} 2"
_CONFIG = "config.json"
_LOCK = ".lock"
# The kind of a run that is being overwritten.
REMOVED = "removed"


class RunDirectory:
    """A run directory, open for writing by this process alone.

    Attributes:
      path: the directory.
      resumed: whether it holds an earlier session of this run.
      longer: by what this session makes the run longer; None for nothing.
    """

    def __init__(
        self,
        path: Path,
        resumed: bool,
        lock: int | None,
        made: bool = False,
        longer: Longer | None = None,
    ) -> None:
        self.path = path
        self.resumed = resumed
        self.longer = longer
        self._lock = lock
        self._made = made

    def __enter__(self) -> "RunDirectory":
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        # A user's mistake that shows late must not stand in the way of the corrected command.
        if kind is not None and issubclass(kind, RunError) and self._lock is not None:
            self._forget()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _forget(self) -> None:
        """Removes what this session wrote, where it began the run and trained nothing."""
        trained = ("checkpoints/*", "methods/*/checkpoints/*", "result.json", "study.db")
        if self.resumed or any(any(self.path.glob(pattern)) for pattern in trained):
            return
        _remove([entry for entry in self.path.iterdir() if entry.name not in (_CONFIG, _LOCK)])
        for name in (_CONFIG, _LOCK):
            (self.path / name).unlink(missing_ok=True)
        if self._made:
            self.path.rmdir()


def open_run(
    output: OutputConfig,
    config: dict[str, Any],
    check_longer: Callable[[Longer], None] | None = None,
) -> RunDirectory:
    """Makes a run directory, or goes on in one.

    A run may be made longer, also one that is finished: its results are removed then, and its
    checkpoints are where training goes on.

    Args:
      output: where, and what to do with what is there.
      config: the run's configuration; written to ``config.json``, or compared with it.
      check_longer: raises ``RunError`` where a longer run would not begin with a shorter one; None
        where none may be made longer.

    Raises:
      RunError: the directory holds a run and neither ``resume`` nor ``overwrite`` is set, holds
        something else, is in use, cannot be written, or its configuration differs.
      OSError: the disk is full.
    """
    config = {"format": FORMAT, **plain(config)}
    path = Path(output.output) if output.output is not None else _new_path(config["kind"])
    if not is_primary():
        barrier("run directory")
        return RunDirectory(path, output.resume, None)
    made = check_output(output)
    with _as_mistakes(path):
        path.mkdir(parents=True, exist_ok=True)
        lock = _take_lock(path)
        try:
            found = _prepare(path, output, config, check_longer)
            more = None if found is None else added_length(found, completed(config))
            if found is None or more is not None:
                write_json(path / _CONFIG, config)
        except BaseException:
            if lock is not None:
                os.close(lock)
            raise
    barrier("run directory")
    return RunDirectory(path, found is not None, lock, made, more)


def check_output(output: OutputConfig) -> bool:
    """Whether a run would make its directory; what would be refused there is refused now.

    Raises:
      RunError: the directory holds what ``output`` does not say to go on with or to overwrite,
        cannot be made, or cannot be written.
    """
    if output.output is None:
        return True
    if is_bucket(output.output):  # Not a local directory of that name.
        raise RunError(
            f"{output.output} is in a bucket, where masam train and masam compare can write, and"
            " no other call; a local directory is needed"
        )
    path = Path(output.output)
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file; a directory is needed")
    if path.is_dir():
        with _as_mistakes(path):
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            _judge(path, output)
        return False
    if output.resume:
        raise RunError(f"{path} holds no run to resume; leave --resume out to start one")
    with _as_mistakes(path):
        _try_to_make(path)
    return True


def read_config(path: Path) -> dict[str, Any]:
    """The ``config.json`` of a run directory.

    Raises:
      RunError: the directory does not exist, or is none of ours.
    """
    if not path.is_dir():
        raise RunError(f"{path} is no directory; expected a run directory")
    if (path / _CONFIG).exists() and not (path / _CONFIG).is_file():
        raise RunError(f"{path} is not a run directory of masam_jax: its {_CONFIG} is no file")
    if not (path / _CONFIG).is_file():
        raise RunError(f"{path} is not a run directory of masam_jax: it has no {_CONFIG}")
    try:
        config = read_json(path / _CONFIG)
    except RunError as error:
        raise RunError(f"{error}; --overwrite starts the run again") from error
    if config.get("format") != FORMAT:
        raise RunError(
            f"{path} is not a run directory of masam_jax: its {_CONFIG} has format"
            f" {config.get('format')!r:.60}, expected {FORMAT!r}"
        )
    if config.get("kind") == REMOVED:
        raise RunError(
            f"{path} was being overwritten when that was stopped: start the run there again"
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


def _prepare(
    path: Path,
    output: OutputConfig,
    config: dict[str, Any],
    check_longer: Callable[[Longer], None] | None,
) -> dict[str, Any] | None:
    """The configuration of the run to go on with; what stands in the way is refused or removed."""
    found = _judge(path, output)
    if found is None or output.overwrite or is_removed(path):
        _empty(path)
        return None
    found = completed(found)
    changes = changed_fields(found, completed(config))
    more = added_length(found, completed(config))
    if changes and (more is None or check_longer is None):
        raise RunError(
            f"{path} is a run of another configuration: {'; '.join(changes)}. Resume with the same"
            " options, or start another run with another --output"
        )
    if more is not None and check_longer is not None:
        check_longer(more)
        # Before the configuration: a session that is killed here is resumed as what it was.
        for pattern in ("results.json", "result.json", "methods/*/result.json"):
            for result in path.glob(pattern):
                result.unlink()
    remove_unfinished(path)
    return found


def _judge(path: Path, output: OutputConfig) -> dict[str, Any] | None:
    """The configuration of the run that is there; None where the directory can be taken.

    Raises:
      RunError: it holds what ``output`` does not say what to do with.
    """
    present = [e for e in path.iterdir() if e.name != _LOCK and not is_unfinished(e)]
    # What a session leaves that was killed before it wrote its configuration.
    if not present or is_removed(path):
        return None
    if output.overwrite and _is_ours(path):
        return None
    found = read_config(path)
    if not output.resume:
        raise RunError(
            f"{path} holds a run already: --resume goes on with it, --overwrite deletes it, another"
            " --output keeps it"
        )
    return found


def is_removed(path: Path) -> bool:
    """Whether a directory is what is left of a run that was being overwritten."""
    try:
        config = read_json(path / _CONFIG)
    except (RunError, OSError):
        return False
    return config.get("format") == FORMAT and config.get("kind") == REMOVED


def _is_ours(path: Path) -> bool:
    """Whether to delete what is there: a run of any version, also one whose file is damaged."""
    try:
        return str(read_json(path / _CONFIG).get("format")).startswith(_KIND)
    except RunError:
        return (path / _LOCK).is_file()
    except OSError:
        return False


def _empty(path: Path) -> None:
    """Deletes a run, such that being killed meanwhile leaves a directory that can be taken."""
    if (path / _CONFIG).exists():
        write_json(path / _CONFIG, {"format": FORMAT, "kind": REMOVED})
    _remove([entry for entry in path.iterdir() if entry.name not in (_CONFIG, _LOCK)])


def _remove(entries: list[Path]) -> None:
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _try_to_make(path: Path) -> None:
    """Makes a directory and removes it again, with the parents that it lacked."""
    made = [place for place in (path, *path.parents) if not place.exists()]
    try:
        path.mkdir(parents=True)
    finally:
        for place in made:
            if place.is_dir():
                place.rmdir()


@contextmanager
def _as_mistakes(path: Path) -> Iterator[None]:
    """Says what is wrong with a directory that cannot be written; a full disk is no mistake."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        place = error.filename or path
        raise RunError(
            f"the run cannot be written to {path}: {os.strerror(error.errno or 0).lower()}"
            f" ({place}); another --output may do"
        ) from error


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
