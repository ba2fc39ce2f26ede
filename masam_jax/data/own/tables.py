"""CSV, TSV and Parquet tables, read by pandas and pyarrow."""

from __future__ import annotations

import collections
import csv
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.core.extras import needs
from masam_jax.data.own.columns import Columns, as_objects

# "None" and "NA " are words that people use for classes; these are not.
_MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null")


def read_table(path: Path) -> Columns:
    """The columns of a table.

    Args:
      path: ``.csv``, ``.tsv`` or ``.parquet``; the first line of the former names the columns, with
        commas, semicolons or tabs between them, whichever there are most of.

    Raises:
      ValueError: it is damaged, has no row, or two columns of one name.
      ModuleNotFoundError: pandas or pyarrow is missing.
    """
    with needs("reading tables", "data"):
        import pandas as pd

        if path.suffix.lower() == ".parquet":
            import pyarrow  # noqa: F401

    is_parquet = path.suffix.lower() == ".parquet"
    try:
        with warnings.catch_warnings():
            # Of lines with more cells than the first.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            if is_parquet:
                frame = pd.read_parquet(path, engine="pyarrow")
            else:
                frame = pd.read_csv(
                    path,
                    sep=_separator(path),
                    na_values=list(_MISSING),
                    keep_default_na=False,
                    index_col=False,
                    low_memory=False,
                )
    except pd.errors.ParserWarning:
        raise ValueError(
            f"{path}: some lines have more cells than the first line has names"
        ) from None
    # pandas and pyarrow have their own kinds of error for each fault.
    except Exception as error:
        words = " ".join(str(error).split())
        raise ValueError(f"{path}: it cannot be read as a table: {words}") from error
    if frame.empty:
        raise ValueError(f"{path}: the table has no row")
    return Columns(
        str(path), columns_of_frame(frame), path.parent, first_line=0 if is_parquet else 2
    )


def _separator(path: Path) -> str:
    """What is between the names in the first line, no two of which may be the same."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        separator = max(",;\t", key=first.count)
        file.seek(0)
        names = next(csv.reader(file, delimiter=separator), [])
    twice = [name for name, count in collections.Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"the first line names {twice[0]!r} twice; columns need different names")
    return separator


def columns_of_frame(frame: Any) -> dict[str, np.ndarray]:
    """The columns of a DataFrame: numbers where they are, objects with None for NaN elsewhere.

    Lists of numbers of one length become an array ``[N, length]``.
    """
    return {str(name): _column(frame[name]) for name in frame.columns}


def _column(series: Any) -> np.ndarray:
    import pandas as pd

    kind = series.dtype
    if pd.api.types.is_bool_dtype(kind) and not series.hasnans:
        return series.to_numpy(dtype=np.bool_)
    if pd.api.types.is_integer_dtype(kind) and not series.hasnans:
        return series.to_numpy(dtype=np.int64)
    if pd.api.types.is_numeric_dtype(kind):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    values = series.to_numpy(dtype=np.object_)
    lists = [isinstance(value, list | tuple | np.ndarray) for value in values]
    if all(lists) and len({np.shape(value) for value in values}) == 1:
        try:
            stacked = np.array([_nested(value) for value in values])
        except ValueError:
            return as_objects(values)
        if stacked.dtype.kind in "biuf" and stacked.ndim > 1:
            return stacked
    if any(lists):
        return as_objects(values)
    empty = series.isna().to_numpy()
    return as_objects(None if e else v for v, e in zip(values, empty, strict=True))


def _nested(value: Any) -> Any:
    """Arrays of arrays as lists of lists."""
    if isinstance(value, np.ndarray | list | tuple):
        return [_nested(each) for each in value]
    return value
