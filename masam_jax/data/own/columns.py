"""What a file or folder holds before anyone says what it is: named columns, a value a row."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from masam_jax.core.specs import unknown


@dataclasses.dataclass(frozen=True, eq=False)
class Columns:
    """Columns of N rows.

    Attributes:
      source: what messages call them: the file or the folder.
      arrays: column -> ``[N, ...]``: numbers, truth values, or objects (text, bytes, lists), of
        which None is a value that is missing.
      folder: what relative paths in them are relative to.
      class_names: column -> names of its classes, where the source has them.
      first_line: line of the source that the first row is; 0 where it has no lines.
      left_out: arrays of the source that are no columns, with why.
      noun: what messages call a column.
    """

    source: str
    arrays: Mapping[str, np.ndarray]
    folder: Path
    class_names: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    first_line: int = 0
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)
    noun: str = "column"

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values()))) if self.arrays else 0

    def __getitem__(self, name: str) -> np.ndarray:
        """A column.

        Raises:
          ValueError: there is none of that name; the nearest is told.
        """
        if name not in self.arrays:
            raise ValueError(f"{self.source}: {unknown(self.noun, name, self.arrays)}")
        return self.arrays[name]

    def named(self, column: str) -> str:
        """A column of the source, for messages."""
        return f"{self.source}, {self.noun} {column!r}"

    def at(self, row: int, column: str | None = None) -> str:
        """Where a value, or a row, is, for messages."""
        where = f"line {self.first_line + row}" if self.first_line else f"row {row}"
        of_column = "" if column is None else f", {self.noun} {column!r}"
        return f"{self.source}, {where}{of_column}"

    def require_complete(self, name: str, what: str) -> np.ndarray:
        """A column in which no row is without a value.

        Args:
          name: of the column.
          what: that a row needs, such as "a label".

        Raises:
          ValueError: there is no such column, or a row has no value.
        """
        values = self[name]
        if (empty := first_missing(values)) is not None:
            count = int(np.count_nonzero(missing(values)))
            raise ValueError(
                f"{self.at(empty, name)}: {what} is missing, as in {count} of {len(self)} rows;"
                " fill it in, or leave the rows out"
            )
        return values


def missing(values: np.ndarray) -> np.ndarray:
    """Bool ``[N]``: the rows without a value, which is NaN, None or empty text."""
    if values.dtype.kind == "f":
        return np.isnan(values).reshape(len(values), -1).any(axis=1)
    if values.dtype == np.object_:
        flags = [
            value is None
            or (isinstance(value, float) and value != value)
            or (isinstance(value, str | bytes) and not value)
            for value in values
        ]
        return np.array(flags, np.bool_)
    if values.dtype.kind in "US":
        return values.reshape(len(values), -1)[:, 0] == values.dtype.type()
    return np.zeros(len(values), np.bool_)


def first_missing(values: np.ndarray) -> int | None:
    """The first row without a value; None where all have one."""
    rows = np.flatnonzero(missing(values))
    return int(rows[0]) if rows.size else None


def is_one_hot(values: np.ndarray) -> bool:
    """Whether rows ``[N, C]`` are zeros and a single 1."""
    if values.ndim != 2 or values.shape[1] < 2 or values.dtype.kind not in "biuf":
        return False
    return bool(np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())


def is_number(values: np.ndarray) -> bool:
    """Whether a column holds numbers or truth values."""
    return values.dtype.kind in "biuf"


def is_text(values: np.ndarray) -> bool:
    """Whether a column holds text, and nothing else."""
    return values.dtype.kind == "U" or (
        values.dtype == np.object_ and all(v is None or isinstance(v, str) for v in values)
    )


def as_objects(values: Iterable[object]) -> np.ndarray:
    """A column of objects, whatever they are."""
    found = list(values)
    column = np.empty(len(found), np.object_)
    column[:] = found
    return column
