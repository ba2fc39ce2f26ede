"""The objects below one path of a bucket, through `etils.epath`."""

import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from masam_jax.config.errors import RunError
from masam_jax.core.extras import install_extras

# By what epath reads each: name of the file system in fsspec, and the package that brings it.
_SCHEMES = {"gs://": ("gcs", "gcsfs"), "s3://": ("s3", "s3fs")}
# What fsspec removes by: other runs would match.
_PATTERN = re.compile(r"[*?\[\]]")
_PIECE = 8 * 2**20


class BucketError(OSError):
    """The bucket did not do what was asked; the message names the object and the reason."""


def is_bucket(path: str) -> bool:
    """Whether a path is one in a bucket."""
    return path.startswith(tuple(_SCHEMES))


class Bucket:
    """The objects below one path, each named by the rest of its own, as in ``checkpoints/10/a``.

    Attributes:
      uri: the path, without a slash at its end.
    """

    def __init__(self, uri: str) -> None:
        """Opens a path of a bucket; nothing is asked of it yet.

        Raises:
          RunError: it is no path below a bucket.
          ModuleNotFoundError: the package that reads such buckets is missing.
        """
        self.uri = _checked(uri)
        # Where TensorFlow is installed, epath would take its files.
        os.environ.setdefault("EPATH_USE_TF", "false")
        system, package = _SCHEMES[uri[:5]]
        try:
            import fsspec
            from etils import epath

            fsspec.get_filesystem_class(system)
        except ImportError as error:
            raise ModuleNotFoundError(
                f"{uri} needs the package {package}: {install_extras('buckets')}", name=package
            ) from error
        # It logs what it raises with its traceback, and that it tries again.
        if not os.environ.get("GCSFS_DEBUG"):
            logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
        # What another machine wrote meanwhile is to be seen.
        fsspec.config.conf.setdefault(system, {}).setdefault("use_listings_cache", False)
        self._root: Any = epath.Path(self.uri)

    def names(self) -> list[str]:
        """The names of all objects, sorted.

        Raises:
          BucketError: they cannot be listed.
        """
        with self._told(""):
            return sorted(self._below(self._root, ""))

    def read(self, name: str) -> bytes | None:
        """The content of an object; None where there is none.

        Raises:
          BucketError: it cannot be read.
        """
        with self._told(name):
            try:
                return self._root.joinpath(name).read_bytes()
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        """Writes an object, whole or not at all.

        Raises:
          BucketError: it cannot be written.
        """
        with self._told(name):
            self._root.joinpath(name).write_bytes(content)

    def upload(self, name: str, path: Path, between: Callable[[], object] = lambda: None) -> None:
        """Writes an object with the content of a file, in pieces.

        Args:
          name: of the object.
          path: of the file.
          between: called after each piece.

        Raises:
          FileNotFoundError: there is no such file any more.
          BucketError: the object cannot be written.
          RunError: what ``between`` raises.
        """
        with (
            path.open("rb") as file,
            self._told(name),
            self._root.joinpath(name).open("wb") as target,
        ):
            while piece := file.read(_PIECE):
                target.write(piece)
                between()

    def download(self, name: str, path: Path) -> bool:
        """Writes a file with the content of an object, in pieces; folders are made.

        Returns:
          Whether there is such an object.

        Raises:
          BucketError: it cannot be read.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as target, self._told(name):
            try:
                with self._root.joinpath(name).open("rb") as file:
                    shutil.copyfileobj(file, target, _PIECE)
            except FileNotFoundError:
                return False
        return True

    def remove(self, name: str) -> None:
        """Removes an object, if there is one.

        Raises:
          BucketError: it cannot be removed.
        """
        with self._told(name):
            self._root.joinpath(name).unlink(missing_ok=True)

    def _below(self, folder: Any, prefix: str) -> Iterator[str]:
        if not folder.is_dir():
            return
        for entry in folder.iterdir():
            # An object that stands for an empty folder, as consoles make it, lists itself.
            if entry == folder:
                continue
            if entry.is_dir():
                yield from self._below(entry, f"{prefix}{entry.name}/")
            else:
                yield f"{prefix}{entry.name}"

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """Clients have errors of many kinds; here they become one."""
        try:
            yield
        except (RunError, BucketError):
            raise
        except Exception as error:
            place = f"{self.uri}/{name}".rstrip("/")
            lines = str(error).strip().splitlines()
            reason = lines[0] if lines else "no reason given"
            raise BucketError(f"{place}: {type(error).__name__}: {reason}") from error


def _checked(uri: str) -> str:
    """A path without slashes at its end."""
    parts = uri[5:].rstrip("/").split("/")
    if len(parts) < 2 or {"", ".", ".."} & set(parts) or _PATTERN.search(uri):
        raise RunError(
            f"{uri} is no path of a run in a bucket; expected {uri[:5]}BUCKET/PATH, without '.',"
            " '..' and '//' in it, and without any of *?[]"
        )
    return uri.rstrip("/")
