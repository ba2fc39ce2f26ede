"""``best.json``: what a finished tuning leaves behind for ``--methods @DIRECTORY``."""

from pathlib import Path

from masam_jax.config.errors import RunError
from masam_jax.training.storage.atomic_files import read_json

BEST_FILE = "best.json"
TUNING_FORMAT = "masam_jax tuning 2"


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
    specs = content.get("methods")
    if not isinstance(specs, list) or not specs or not all(isinstance(s, str) for s in specs):
        raise RunError(f"{path} is damaged: it holds no list of methods")
    return specs
