"""Media files that cannot be read: what is wrong with one, in a line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_MOST_WORDS = 500


class DamagedMedia(Exception):
    """A media file is missing or cannot be decoded; the message names it and says why.

    Attributes:
      instead: what is stored of the sample all the same, where a stand-in will do.
      modality: which the stand-in is of.
    """

    def __init__(
        self, message: str, *, instead: Mapping[str, Any] | None = None, modality: str = ""
    ) -> None:
        """An error.

        Args:
          message: in a line.
          instead: what is stored all the same; None to leave the sample out.
          modality: which is lost in it.
        """
        super().__init__(message)
        self.instead = instead
        self.modality = modality


_LFS = b"version https://git-lfs.github.com/spec/"


def is_lfs_pointer(path: Path) -> bool:
    """Whether a file stands in the place of one that Git LFS has not fetched."""
    try:
        with path.open("rb") as file:
            return file.read(len(_LFS)) == _LFS
    except OSError:
        return False


def require_file(path: Path, most: int | None = None) -> None:
    """Refuses what is no regular file: a device or a pipe may be read for ever.

    Args:
      path: the file, or a link to one.
      most: bytes that it may have.

    Raises:
      DamagedMedia: there is no such file, or it is larger.
    """
    if not path.is_file():
        raise DamagedMedia(f"{path}: there is no such file.")
    size = path.stat().st_size
    if most is not None and size > most:
        raise DamagedMedia(f"{path}: it has {size} bytes; at most {most} are read.")


def damaged(path: Path, error: Exception) -> DamagedMedia:
    """The decoder's error as that of a file, which it names once.

    Args:
      path: the file.
      error: of FFmpeg, libsndfile or Pillow.
    """
    if not path.is_file():
        return DamagedMedia(f"{path}: there is no such file.")
    if is_lfs_pointer(path):
        return DamagedMedia(
            f"{path}: it is a Git LFS pointer, not the file itself; git lfs pull fetches that."
        )
    # FFmpeg's and libsndfile's words without the path that they are wrapped in.
    words = getattr(error, "strerror", None) or getattr(error, "error_string", None) or str(error)
    return DamagedMedia(f"{path}: {words[:_MOST_WORDS].rstrip('.') or type(error).__name__}.")
