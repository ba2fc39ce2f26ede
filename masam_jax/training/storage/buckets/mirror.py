"""Copies what is whole of a run directory to a bucket, while the run goes on."""

import json
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from masam_jax.config.errors import RunError
from masam_jax.training.storage.buckets.bucket import Bucket, BucketError
from masam_jax.training.storage.buckets.lease import Lease
from masam_jax.training.storage.digests import DIGESTS_FILE
from masam_jax.training.storage.run_directory import FORMAT, REMOVED

_CONFIG = "config.json"
_RESULTS = ("result.json", "results.json")
_SECONDS = 15.0


class Mirror:
    """A path of a bucket that follows a run directory, in the background while entered."""

    def __init__(
        self,
        local: Path,
        bucket: Bucket,
        lease: Lease,
        there: Iterable[str] = (),
        replaces: bool = False,
        on_lost: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """Prepares to follow a run; nothing is copied yet.

        Args:
          local: the run directory.
          bucket: where to.
          lease: on the bucket's path; renewed with every pass.
          there: names of the objects that are there.
          replaces: whether they are of another run, which is removed once this one has begun.
          on_lost: told once, in a thread, why the path is another's now.
        """
        self._local, self._bucket, self._lease = local, bucket, lease
        self._there = set(there)
        self._began = not self._there
        self._replaces = replaces and not self._began
        self._sent: dict[str, tuple[int, int]] = {}
        self._on_lost = on_lost
        self._lost: RunError | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="mirror", daemon=True)

    def __enter__(self) -> "Mirror":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """A last pass.

        Raises:
          RunError: another session took the path.
          BucketError: the bucket lacks something.
        """
        self._end.set()
        self._thread.join()
        if self._lost is not None:
            raise self._lost
        self.bring()

    def bring(self) -> None:
        """One pass: afterwards the bucket has what was whole when it began.

        Raises:
          RunError: another session took the path.
          BucketError: the bucket did not take everything; the next pass goes on.
        """
        self._lease.renew()
        try:
            names = _whole_files(self._local)
        except FileNotFoundError:  # Whoever trains removes a checkpoint; the next pass goes on.
            return
        if _CONFIG not in names and not self._began:
            return  # Never a run that was not made by this session.
        if self._replaces:
            self._empty()
        gone = self._gone(names)
        # A result that is gone was of a shorter run.
        self._remove(name for name in gone if PurePosixPath(name).name in _RESULTS)
        complete = True
        try:
            self._recognize(names)
        except FileNotFoundError:
            complete = False
        for name in names:
            try:
                self._upload(name)
            except FileNotFoundError:  # Gone since: what stands in for it comes with the next pass.
                complete = False
        if complete:
            self._remove(sorted(self._gone(names), key=_removal))

    def _empty(self) -> None:
        """Removes the other run; being killed meanwhile leaves a path that can be taken."""
        marker = {"format": FORMAT, "kind": REMOVED}
        self._bucket.write(_CONFIG, json.dumps(marker).encode())
        self._there.add(_CONFIG)
        self._remove(sorted(self._there, key=_removal))
        self._began, self._replaces = True, False

    def _gone(self, names: list[str]) -> set[str]:
        """What the run no longer has; never what somebody else put beside it."""
        return {
            name
            for name in self._there - set(names)
            if name in self._sent or _checkpoint(name) or PurePosixPath(name).name in _RESULTS
        }

    def _recognize(self, names: list[str]) -> None:
        """Takes for copied what has the same ``SHA256SUMS`` there: what an earlier session left."""
        for sums in names:
            if not (folder := _checkpoint(sums)) or sums != f"{folder}/{DIGESTS_FILE}":
                continue
            if sums in self._sent or sums not in self._there:
                continue
            if self._bucket.read(sums) == (self._local / sums).read_bytes():
                for name in names:
                    if _checkpoint(name) == folder and name in self._there:
                        self._sent[name] = _stamp(self._local / name)

    def _upload(self, name: str) -> None:
        path = self._local / name
        stamp = _stamp(path)
        if self._sent.get(name) == stamp:
            return
        folder = _checkpoint(name)
        sums = f"{folder}/{DIGESTS_FILE}"
        # A checkpoint that is written once more is none until it is whole again.
        if folder is not None and name != sums and sums in self._there and name in self._there:
            self._remove([sums])
            self._sent.pop(sums, None)
        self._bucket.upload(name, path, self._lease.keep)
        self._sent[name] = stamp
        self._there.add(name)

    def _remove(self, names: Iterable[str]) -> None:
        for name in names:
            self._bucket.remove(name)
            self._there.discard(name)
            self._sent.pop(name, None)

    def _follow(self) -> None:
        while not self._end.wait(_SECONDS):
            try:
                self.bring()
            except RunError as error:
                self._lost = error
                self._on_lost(str(error))
                return
            # The bucket may be away for a while; what it lacks at the end is told then.
            except BucketError:
                continue


def whole_names(names: Iterable[str]) -> list[str]:
    """The names without those of checkpoints that lack their ``SHA256SUMS``, and hidden ones."""
    names = set(names)
    return [
        name
        for name in sorted(names)
        if not _is_hidden(name)
        and ((folder := _checkpoint(name)) is None or f"{folder}/{DIGESTS_FILE}" in names)
    ]


def _whole_files(local: Path) -> list[str]:
    """The files of a run that no other process is about to rename, in the order to copy them.

    Raises:
      FileNotFoundError: a folder was removed meanwhile.
    """

    def fail(error: OSError) -> None:
        raise error

    names = []
    for folder, _, files in os.walk(local, onerror=fail):
        place = Path(folder).relative_to(local)
        names += [(place / file).as_posix() for file in files]
    return sorted((name for name in names if not _is_hidden(name)), key=_order)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _is_hidden(name: str) -> bool:
    """Whether a file is a lock, or on its way: its name says so, or its checkpoint's."""
    if (folder := _checkpoint(name)) is not None:
        return not PurePosixPath(folder).name.isdecimal()
    return any(part.startswith(".") for part in PurePosixPath(name).parts)


def _checkpoint(name: str) -> str | None:
    """The checkpoint that a file is a part of."""
    parts = PurePosixPath(name).parts
    if "checkpoints" not in parts[:-2]:
        return None
    return "/".join(parts[: parts.index("checkpoints") + 2])


def _order(name: str) -> tuple[int, str, bool, str]:
    path = PurePosixPath(name)
    folder = _checkpoint(name)
    if name == _CONFIG:
        rank = 0
    elif folder is not None:
        rank = 2
    elif path.name == "result.json":
        rank = 3
    else:
        rank = 4 if path.name == "results.json" else 1
    return rank, folder or "", path.name == DIGESTS_FILE, name


def _removal(name: str) -> tuple[bool, str]:
    """Of a checkpoint, what makes it one goes first; ``config.json`` goes last."""
    return name == _CONFIG, "" if PurePosixPath(name).name == DIGESTS_FILE else name
