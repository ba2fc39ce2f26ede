"""The metrics of a run: JSON lines, and what loggers make of them."""

import itertools
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

from masam_jax.training.storage.atomic_files import plain, write_lines
from masam_jax.training.storage.loggers import MetricsLogger, OpenLogger

# Lines of the log that are no records, as they were found.
DAMAGED_FILE = "metrics.damaged"


class MetricsLog:
    """Appends records to ``metrics.jsonl`` of a run directory, and passes them to loggers.

    Opened for a step, it first drops what was written after it: the steps of a killed run that its
    checkpoint does not hold are computed, and logged, once more. A line before it that is no record
    any more is moved to ``metrics.damaged``; all others stay.

    Attributes:
      damaged: numbers of such lines, from 1.
    """

    def __init__(
        self,
        directory: Path,
        step: int,
        loggers: Sequence[OpenLogger] = (),
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Opens the log of the run in ``directory``, which has ``step`` steps behind it.

        Args:
          directory: the run directory.
          step: steps behind it.
          loggers: what opens them.
          config: of the run, for them.

        Raises:
          RunError: a logger does not begin.
          OSError: a file cannot be written.
        """
        self._path = directory / "metrics.jsonl"
        self.damaged = _drop_after(self._path, step)
        with ExitStack() as stack:
            file = self._path.open("a", encoding="utf-8", newline="\n")
            self._file: IO[str] = stack.enter_context(file)
            self._loggers: list[MetricsLogger] = []
            for open_logger in loggers:
                self._loggers.append(open_logger(directory, step, config or {}))
                stack.callback(self._loggers[-1].close)
            self._open = stack.pop_all()

    def write(self, record: dict[str, Any]) -> None:
        """Appends one record; values are numbers per seed, or dicts of them."""
        self._file.write(json.dumps(plain(record), ensure_ascii=False, allow_nan=False) + "\n")
        self._file.flush()
        if not self._loggers:
            return
        values = {}
        for name, found in record.items():
            if name not in ("step", "split"):
                for modality, value in found.items() if isinstance(found, dict) else [("", found)]:
                    tag = "/".join(part for part in (record["split"], name, modality) if part)
                    values[tag] = np.asarray(value, np.float64)
        for logger in self._loggers:
            logger.write(record["step"], values)

    def sync(self) -> None:
        """Brings everything to the disk, before a checkpoint claims these steps."""
        self._file.flush()
        os.fsync(self._file.fileno())
        for logger in self._loggers:
            logger.sync()

    def close(self) -> None:
        """Closes the file and the loggers."""
        self._open.close()

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _drop_after(path: Path, step: int) -> tuple[int, ...]:
    """Drops records after ``step``, an unfinished last line, and lines that are no records.

    Lines that are no records, in the middle of the file, are kept beside it.

    Returns:
      Their numbers, from 1.
    """
    if not path.exists():
        return ()
    kept, damaged = 0, {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            found = _step(line)
            if found is None and line.endswith(b"\n"):
                damaged[number] = line
            elif found is not None and found <= step:
                kept = number
    damaged = {number: line for number, line in damaged.items() if number < kept}
    if damaged:
        with path.with_name(DAMAGED_FILE).open("ab") as file:
            file.writelines(damaged.values())
    with path.open("rb") as file:
        lines = itertools.islice(file, kept)
        if damaged:
            write_lines(path, (x for n, x in enumerate(lines, start=1) if n not in damaged))
        else:
            os.truncate(path, sum(map(len, lines)))
    return tuple(damaged)


def _step(line: bytes) -> int | None:
    """The step of a whole record, None for anything else."""
    if not line.endswith(b"\n"):
        return None
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return step if isinstance(step, int) else None
