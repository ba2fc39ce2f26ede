"""``best.json``: what a finished tuning leaves behind for ``--methods @DIRECTORY``."""

import hashlib
import json
from pathlib import Path
from typing import Any

from masam_jax.config.errors import RunError
from masam_jax.training.storage.atomic_files import read_json

BEST_FILE = "best.json"
TUNING_FORMAT = "masam_jax tuning 3"
_DIGEST = "sha256"


def best_file(text: str) -> Path:
    """The file of a tuning.

    Args:
      text: the path of its directory, or of the file itself.

    Raises:
      RunError: there is none.
    """
    if not text:
        raise RunError("'@' names no file; expected @PATH, what masam tune --output PATH wrote")
    path = Path(text) / BEST_FILE if Path(text).is_dir() else Path(text)
    if not path.is_file():
        raise RunError(f"'@{text}': there is no {path}; a finished masam tune leaves one behind")
    return path


def sign_best(content: dict[str, Any]) -> dict[str, Any]:
    """The content of ``best.json`` with its own digest.

    Args:
      content: plain values.
    """
    return {**content, _DIGEST: _digest(content)}


def read_best(path: Path) -> list[str]:
    """Specifications of the methods in a `best_file`.

    Raises:
      RunError: it is damaged, or of another kind.
    """
    content = read_json(path)
    if content.get("format") != TUNING_FORMAT:
        raise RunError(
            f"{path} is not the outcome of masam tune: its format is"
            f" {content.get('format')!r}, expected {TUNING_FORMAT!r}"
        )
    if content.get(_DIGEST) != _digest(content):
        raise RunError(
            f"{path} is damaged: its content is not what {_DIGEST} in it says; masam tune ..."
            " --resume, with the words of environment.json beside it, writes it anew"
        )
    specs = content.get("methods")
    if not isinstance(specs, list) or not specs or not all(isinstance(s, str) for s in specs):
        raise RunError(f"{path} is damaged: it holds no list of methods")
    return specs


def _digest(content: dict[str, Any]) -> str:
    rest = {name: value for name, value in content.items() if name != _DIGEST}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
