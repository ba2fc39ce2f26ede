"""Media files that cannot be read: what is wrong with one, in a line."""

from __future__ import annotations

from pathlib import Path


class DamagedMedia(Exception):
    """A media file is missing or cannot be decoded; the message names it and says why."""


def damaged(path: Path, error: Exception) -> DamagedMedia:
    """The decoder's error as that of a file, which it names once.

    Args:
      path: the file.
      error: of FFmpeg, libsndfile or Pillow.
    """
    if not path.is_file():
        return DamagedMedia(f"{path}: there is no such file.")
    # FFmpeg's and libsndfile's words without the path that they are wrapped in.
    words = getattr(error, "strerror", None) or getattr(error, "error_string", None) or str(error)
    return DamagedMedia(f"{path}: {words.rstrip('.')}.")
