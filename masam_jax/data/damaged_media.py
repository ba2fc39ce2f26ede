"""Media files that cannot be read: what is wrong with one, in a line."""

from __future__ import annotations

from pathlib import Path

_MOST_WORDS = 500


class DamagedMedia(Exception):
    """A media file is missing or cannot be decoded; the message names it and says why."""


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
    # FFmpeg's and libsndfile's words without the path that they are wrapped in.
    words = getattr(error, "strerror", None) or getattr(error, "error_string", None) or str(error)
    return DamagedMedia(f"{path}: {words[:_MOST_WORDS].rstrip('.') or type(error).__name__}.")
