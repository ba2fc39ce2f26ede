"""The metrics of a run: JSON lines for machines, TensorBoard events for eyes."""

import itertools
import json
import os
import time
from pathlib import Path
from typing import IO, Any

import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2
from tensorboardX.summary import scalar

from masam_jax.training.storage.atomic_files import plain, write_lines

# Lines of the log that are no records, as they were found.
DAMAGED_FILE = "metrics.damaged"


class MetricsLog:
    """Appends records to ``metrics.jsonl`` and ``tensorboard/`` of a run directory.

    Opened for a step, it first drops what was written after it: the steps of a killed run that its
    checkpoint does not hold are computed, and logged, once more. A line before it that is no record
    any more is moved to ``metrics.damaged``; all others stay.

    Attributes:
      damaged: numbers of such lines, from 1.
    """

    def __init__(self, directory: Path, step: int) -> None:
        """Opens the log of the run in ``directory``, which has ``step`` steps behind it."""
        self._path = directory / "metrics.jsonl"
        self.damaged = _drop_after(self._path, step)
        self._file: IO[str] = self._path.open("a", encoding="utf-8", newline="\n")
        events = directory / "tensorboard"
        events.mkdir(exist_ok=True)
        # Its SummaryWriter writes in a thread, whose end on a full disk would block this one.
        self._events = EventsWriter(str(events / "events"))
        restart = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._events.write_event(
            event_pb2.Event(wall_time=time.time(), step=step + 1, session_log=restart)
        )

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
                mean = float(np.mean(np.asarray(value, np.float64)))
                self._events.write_event(
                    event_pb2.Event(
                        wall_time=time.time(), step=record["step"], summary=scalar(tag, mean)
                    )
                )

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
