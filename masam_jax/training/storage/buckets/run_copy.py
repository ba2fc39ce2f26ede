"""The local directory of a run in a bucket: where it is written, and where it is read."""

import dataclasses
import hashlib
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from masam_jax.config import OutputConfig
from masam_jax.config.errors import RunError
from masam_jax.training.storage.atomic_files import write_text
from masam_jax.training.storage.buckets.bucket import Bucket, BucketError
from masam_jax.training.storage.buckets.lease import LEASE, Lease, read_lease
from masam_jax.training.storage.buckets.mirror import Mirror, whole_names
from masam_jax.training.storage.run_directory import check_output, is_removed

_CONFIG = "config.json"
# A checkpoint that is replaced while it is read; the next listing has its successor.
_TRIES = 4


def copies_folder() -> Path:
    """Where the local directories of runs in buckets are: in the user's cache folder.

    Raises:
      RuntimeError: the user has no home directory.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "masam_jax" / "buckets"


@contextmanager
def run_in_bucket(output: OutputConfig, note: Callable[[str], None]) -> Iterator[OutputConfig]:
    """While entered, a local run directory is copied to the bucket that ``output`` names.

    Args:
      output: its ``output`` is a path in a bucket.
      note: told where the run is written, and what went wrong in the background.

    Yields:
      The same with the local directory, which holds the run if ``resume`` is set. It stays
      afterwards, so that this machine goes on without bringing it again.

    Raises:
      RunError: what `check_output` raises for such a directory; or another session writes there.
      BucketError: the bucket cannot be read, or lacks at the end what was written.
    """
    from filelock import FileLock, Timeout

    bucket = Bucket(str(output.output))
    home = copies_folder() / hashlib.sha256(bucket.uri.encode()).hexdigest()[:16]
    # Below a folder of its own: a run may be called as the files beside it.
    local = home / "run" / bucket.uri.rpartition("/")[2]
    home.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(FileLock(home / ".lock", timeout=0))
        except Timeout as error:
            raise RunError(f"{bucket.uri} is in use by another process") from error
        names, removed = _judge(bucket, output)
        last = _last_session(home)
        known = last is not None and read_lease(bucket).get("session") == last
        lease = Lease(bucket, own=last)
        with _released(lease):
            if not (output.resume and known and local.is_dir()):
                shutil.rmtree(local, ignore_errors=True)
                if output.resume:
                    _bring(bucket, local, only=(_CONFIG,) if removed else ())
            # From here on the local directory is what this session knows.
            write_text(home / "session", lease.session)
            note(f"{bucket.uri} is written to {local} first")
            replaces = removed or not output.resume
            mirror = Mirror(local, bucket, lease, names, replaces, lambda why: _stop(why, note))
            try:
                with mirror:
                    yield dataclasses.replace(output, output=str(local))
            except RunError as error:
                raise RunError(str(error).replace(str(local), bucket.uri)) from error
            except BucketError as error:
                raise BucketError(
                    f"{error}. What was written is whole in {local}; the same command with"
                    " --resume, on this machine, copies it"
                ) from error


@contextmanager
def local_copy(run: str, only: Collection[str] = ()) -> Iterator[Path]:
    """While entered, a copy of a run in a bucket, to read.

    Args:
      run: its path in the bucket.
      only: names of the files that are needed; none for all.

    Raises:
      RunError: there is no run.
      BucketError: the bucket cannot be read.
    """
    bucket = Bucket(run)
    with tempfile.TemporaryDirectory(prefix="masam_run_") as folder:
        local = Path(folder) / bucket.uri.rpartition("/")[2]
        _bring(bucket, local, only)
        if not local.is_dir():
            raise RunError(f"{bucket.uri} holds no run: there is nothing below it")
        try:
            yield local
        except RunError as error:
            raise RunError(str(error).replace(str(local), bucket.uri)) from error


def _judge(bucket: Bucket, output: OutputConfig) -> tuple[list[str], bool]:
    """What is there, which the options allow to go on with or to overwrite.

    Returns:
      The names, and whether it is what is left of a run that was being overwritten.
    """
    names = [name for name in bucket.names() if name != LEASE]
    if below := [name.rpartition("/")[0] for name in names if name.endswith(f"/{LEASE}")]:
        raise RunError(
            f"{bucket.uri} has another run below it, {bucket.uri}/{below[0]}; --output needs a path"
            " that no other run is below"
        )
    with tempfile.TemporaryDirectory() as folder:
        stand_in = Path(folder) / "run"
        for name in [_CONFIG] if _CONFIG in names else names[:1]:
            bucket.download(name, stand_in / name)
        try:
            check_output(dataclasses.replace(output, output=str(stand_in)))
        except RunError as error:
            raise RunError(str(error).replace(str(stand_in), bucket.uri)) from error
        return names, is_removed(stand_in)


def _bring(bucket: Bucket, local: Path, only: Collection[str] = ()) -> None:
    """Downloads what is whole."""
    for _ in range(_TRIES):
        names = [name for name in whole_names(bucket.names()) if not only or name in only]
        if all(bucket.download(name, local / name) for name in names):
            return
        shutil.rmtree(local, ignore_errors=True)
    raise BucketError(f"{bucket.uri} changes while it is read; try again")


@contextmanager
def _released(lease: Lease) -> Iterator[None]:
    try:
        yield
    finally:
        # Another's, or out of reach: it runs out by itself.
        with suppress(RunError, BucketError):
            lease.release()


def _last_session(home: Path) -> str | None:
    try:
        return (home / "session").read_text()
    except FileNotFoundError:
        return None


def _stop(reason: str, note: Callable[[str], None]) -> None:
    """Stops the run as SIGTERM does: it saves, here, and ends."""
    note(f"{reason}; stopping")
    os.kill(os.getpid(), signal.SIGTERM)
