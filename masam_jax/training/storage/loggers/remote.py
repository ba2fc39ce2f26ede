"""Loggers that end at a service, whose failures must not end a run."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from masam_jax.training.storage.atomic_files import write_json
from masam_jax.training.storage.loggers.protocol import MetricsLogger

_FILE = "loggers.json"


class Unreliable:
    """A logger that is dropped, with a warning, the first time that it fails."""

    def __init__(self, name: str, logger: MetricsLogger) -> None:
        self._name = name
        self._logger: MetricsLogger | None = logger

    def write(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """Passes them on."""
        self._try("write", step, values)

    def sync(self) -> None:
        """Passes it on."""
        self._try("sync")

    def close(self) -> None:
        """Passes it on."""
        self._try("close")

    def _try(self, what: str, *arguments: object) -> None:
        if self._logger is None:
            return
        try:
            getattr(self._logger, what)(*arguments)
        except Exception as error:
            self._logger = None
            # The packages raise errors of any kind; metrics.jsonl has everything.
            text = str(error).strip().partition("\n")[0]
            warnings.warn(
                f"{self._name} failed, and gets no more of this run: {text}", stacklevel=3
            )


def remembered(directory: Path, logger: str) -> str | None:
    """The service's name of the run in a directory; None where it has none yet."""
    return _read(directory).get(logger)


def remember(directory: Path, logger: str, name: str) -> None:
    """Keeps the service's name of a run, to go on with it."""
    write_json(directory / _FILE, {**_read(directory), logger: name})


def _read(directory: Path) -> dict[str, str]:
    path = directory / _FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    names = content if isinstance(content, dict) else {}
    return {key: value for key, value in names.items() if isinstance(value, str)}
