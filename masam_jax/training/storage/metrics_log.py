"""The metrics of a run: JSON lines for machines, TensorBoard events for eyes."""

import json
import os
from pathlib import Path
from typing import IO, Any

import numpy as np
from tensorboardX import SummaryWriter

from masam_jax.training.storage.atomic_files import plain


class MetricsLog:
    """Appends records to ``metrics.jsonl`` and ``tensorboard/`` of a run directory.

    Opened for a step, it first drops what was written after it: the steps of a killed run that its
    checkpoint does not hold are computed, and logged, once more.
    """

    def __init__(self, directory: Path, step: int) -> None:
        """Opens the log of the run in ``directory``, which has ``step`` steps behind it."""
        self._path = directory / "metrics.jsonl"
        _truncate(self._path, step)
        self._file: IO[str] = self._path.open("a", encoding="utf-8", newline="\n")
        self._events = SummaryWriter(str(directory / "tensorboard"), purge_step=step + 1)

    def write(self, record: dict[str, Any]) -> None:
        """Appends one record; values are numbers per seed, or dicts of them."""
        self._file.write(json.dumps(plain(record), ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()
        for name, values in record.items():
            if name in ("step", "split"):
                continue
            named = values.items() if isinstance(values, dict) else [("", values)]
            for modality, value in named:
                tag = "/".join(part for part in (record["split"], name, modality) if part)
                self._events.add_scalar(tag, float(np.mean(np.asarray(value))), record["step"])

    def sync(self) -> None:
        """Brings everything to the disk, before a checkpoint claims these steps."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._events.flush()

    def close(self) -> None:
        """Closes both files."""
        self._file.close()
        self._events.close()

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _truncate(path: Path, step: int) -> None:
    """Cuts the file before the first record after ``step``, or the first unfinished one."""
    if not path.exists():
        return
    keep = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n") or not _belongs(line, step):
                break
            keep += len(line)
    os.truncate(path, keep)


def _belongs(line: bytes, step: int) -> bool:
    try:
        return bool(json.loads(line)["step"] <= step)
    except (ValueError, KeyError, TypeError):
        return False
