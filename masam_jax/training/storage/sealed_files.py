"""Files of a run that are read back, each with a digest of its own content inside it."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.config.errors import RunError
from masam_jax.data.array_files import parse_npz
from masam_jax.training.storage.atomic_files import plain, read_json, write_bytes, write_json

_KEY = "sha256"
# The end of an archive is a comment, which its readers pass over.
_COMMENT = re.compile(rb"sha256:([0-9a-f]{64})")
_COMMENT_LENGTH = len("sha256:") + 64
# How an archive without a comment ends: this, and twenty bytes, the last two of them zero.
_END, _END_LENGTH = b"PK\x05\x06", 22


def write_sealed_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON object with the digest of its values.

    Raises:
      OSError: it cannot be written.
    """
    write_json(path, seal(content))


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with the digest of its values."""
    values = plain(dict(content))
    return {**values, _KEY: _json_digest(values)}


def read_sealed_json(
    path: Path, keys: Collection[str] | None = None, younger: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What `write_sealed_json` wrote, without the digest.

    A file without one, by an earlier version, is taken as it is.

    Args:
      path: the file.
      keys: of the object, neither fewer nor more; None for any.
      younger: those that files of earlier versions do not have, with what they mean.

    Raises:
      RunError: the file is damaged, and its name.
    """
    content = {**(younger or {}), **unseal(path, read_json(path))}
    if keys is not None and set(content) != set(keys):
        lacking, unknown = set(keys) - set(content), set(content) - set(keys)
        found = [f"it lacks {sorted(lacking)}"] * bool(lacking)
        found += [f"it has {sorted(unknown)} beside"] * bool(unknown)
        raise RunError(f"{path} is damaged: {' and '.join(found)}")
    return content


def unseal(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a JSON file without its digest, which is checked if there is one.

    Raises:
      RunError: the file is damaged, and its name.
    """
    content = dict(content)
    try:
        digest = content.pop(_KEY, None)
        if digest is not None and digest != _json_digest(content):
            raise RunError(f"{path} is damaged: its content has not the digest that it names")
    except (RecursionError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}") from error
    return content


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an ``.npz`` file whose comment is the digest of all before it.

    Raises:
      OSError: it cannot be written.
    """
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # its stub takes keywords for flags
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"sha256:" + b"0" * 64
    content = buffer.getvalue()[:-64]
    write_bytes(path, content + hashlib.sha256(content).hexdigest().encode())


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """What `write_arrays` wrote, or ``numpy.savez``, which writes no digest.

    Raises:
      RunError: the file is damaged or missing, and its name.
    """
    try:
        content = path.read_bytes()
        _check_arrays_digest(content)
        return parse_npz(content)
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is damaged or missing: {error}") from error


def _json_digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _check_arrays_digest(content: bytes) -> None:
    comment = _COMMENT.fullmatch(content[-_COMMENT_LENGTH:])
    if comment is None:
        end = content[-_END_LENGTH:]
        if not (end.startswith(_END) and end.endswith(b"\0\0")):
            raise ValueError("it does not end as it was written")
    elif hashlib.sha256(content[:-64]).hexdigest().encode() != comment[1]:
        raise ValueError("its content has not the digest that it names")
