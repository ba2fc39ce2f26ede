"""``metrics.csv`` of a run directory: a line for every metric of every logged step."""

import csv
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.training.storage.atomic_files import write_text
from masam_jax.training.storage.csv_text import csv_text

_FILE = "metrics.csv"


class CsvLogger:
    """Columns ``step``, ``metric``, ``mean`` over the seeds, and ``seed_N`` for each of them."""

    def __init__(self, directory: Path, step: int, config: Mapping[str, Any]) -> None:
        """Drops lines after ``step``, and one that was cut short; see `OpenLogger`."""
        path = directory / _FILE
        kept: list[list[str]] = []
        if path.is_file():
            with path.open(newline="", encoding="utf-8", errors="replace") as file:
                kept = [line for line in csv.reader(file) if _is_before(line, step)]
        first, count = config["seeds"]["seed_offset"], config["seeds"]["seeds"]
        head = ["step", "metric", "mean", *(f"seed_{first + k}" for k in range(count))]
        kept = [line for line in kept if len(line) == len(head)]
        write_text(path, csv_text([head, *kept]))
        self._file = path.open("a", encoding="utf-8", newline="")

    def write(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """A line a metric; what is not a number is an empty cell."""
        cells = (
            [step, name, *(x if np.isfinite(x) else "" for x in (float(np.mean(v)), *v.tolist()))]
            for name, v in values.items()
        )
        self._file.write(csv_text(cells))

    def sync(self) -> None:
        """To the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _is_before(line: list[str], step: int) -> bool:
    return bool(line) and line[0].isdecimal() and int(line[0]) <= step
