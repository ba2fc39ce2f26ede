"""Files that are whole or absent, whatever kills the process."""

import json
import math
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.config.errors import RunError

# Of files on their way: .NAME.unfinished-RANDOM
_UNFINISHED = ".unfinished-"


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file in one move: a reader sees the old content or the new.

    Raises:
      OSError: the disk is full or the directory not writable; the old file is left as it was.
    """
    text = json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file in one move.

    Raises:
      OSError: as ``write_json``.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file in one move.

    Raises:
      OSError: as ``write_json``; its ``filename`` is ``path``.
    """
    write_lines(path, (content,))


def write_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Writes a file in one move, piece by piece.

    Args:
      path: the file; ``lines`` may be read from it.
      lines: with their ends.

    Raises:
      OSError: as ``write_json``; its ``filename`` is ``path``.
    """
    try:
        _write_and_move(path, lines)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def check_file(path: Path) -> None:
    """Checks that a file could be written; leaves nothing behind.

    Raises:
      RunError: it is a directory, or its directory is missing or cannot be written.
    """
    if path.is_dir():
        raise RunError(f"{path} is a directory; a file is needed")
    try:
        descriptor, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}{_UNFINISHED}"
        )
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise RunError(f"{path} cannot be written: {reason} ({path.parent})") from error
    os.close(descriptor)
    os.unlink(temporary)


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
      RunError: the file is damaged.
    """
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from error
    except RecursionError as error:
        raise RunError(f"{path} is damaged: it is nested too deeply") from error
    if not isinstance(content, dict):
        raise RunError(f"{path} is damaged: it holds a {type(content).__name__}, not an object")
    return content


def is_unfinished(path: Path) -> bool:
    """Whether a file is what a killed process left of one that it was writing."""
    return path.name.startswith(".") and _UNFINISHED in path.name


def remove_unfinished(directory: Path) -> None:
    """Removes such files from a directory and those below it."""
    for path in directory.rglob(f".*{_UNFINISHED}*"):
        path.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """Arrays as lists of Python numbers, and what is not finite as ``None``."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "__array__"):
        return plain(np.asarray(value).tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write_and_move(path: Path, lines: Iterable[bytes]) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}{_UNFINISHED}")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that their owner alone may read.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
