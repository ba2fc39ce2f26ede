"""Media files that cannot be read: what is wrong with one, in a line."""

from __future__ import annotations

from pathlib import Path


class DamagedMedia(Exception):
    """A media file is missing or cannot be decoded; the message names it and says why."""


_LFS = b"version https://git-lfs.github.com/spec/"


def is_lfs_pointer(path: Path) -> bool:
    """Whether a file stands in the place of one that Git LFS has not fetched."""
    try:
        with path.open("rb") as file:
            return file.read(len(_LFS)) == _LFS
    except OSError:
        return False


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
    return DamagedMedia(f"{path}: {words.rstrip('.')}.")
