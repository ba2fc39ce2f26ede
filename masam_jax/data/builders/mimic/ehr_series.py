"""A stay's measurements, hour by hour."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from masam_jax.data.builders.mimic.variables import as_number, make_columns
from masam_jax.data.damaged_media import DamagedMedia

HOURS = 48
"""Hours from admission that are looked at."""

# The slack of the extraction's own comparisons of hours.
_SLACK = 1e-6
_TIME = "Hours"


def hours_of(period: float) -> int:
    """Hours of a stay that are looked at, in 1 to 48; an hour that has begun counts.

    Args:
      period: its length in hours.
    """
    return min(max(math.ceil(period - _SLACK), 1), HOURS)


def read_series(path: Path, variables: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """A time series of the extraction.

    Args:
      path: CSV with the column ``Hours`` and one for each variable; others are ignored.
      variables: V names.

    Returns:
      Hours since admission, float64 ``[N]``, and values, float64 ``[N, V]``, NaN where empty.

    Raises:
      DamagedMedia: the file is missing, or not such a table.
    """
    times, rows = [], []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file, strict=True)
            lacking = sorted({_TIME, *variables} - set(table.fieldnames or ()))
            if lacking:
                raise DamagedMedia(f"{path}: there is no column {lacking[0]!r}.")
            for row in table:
                if None in row or None in row.values():
                    raise DamagedMedia(
                        f"{path}, line {table.line_num}: cells lack or are too many."
                    )
                try:
                    times.append(as_number(_TIME, row[_TIME]))
                    rows.append([as_number(name, row[name]) for name in variables])
                except ValueError as error:
                    raise DamagedMedia(f"{path}, line {table.line_num}: {error}.") from error
    except FileNotFoundError as error:
        raise DamagedMedia(f"{path}: there is no such file.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DamagedMedia(f"{path}: {error}.") from error
    if not rows:
        raise DamagedMedia(f"{path}: there is no measurement.")
    if np.isnan(times).any() or (np.diff(times) < -_SLACK).any():
        raise DamagedMedia(f"{path}: hours are missing or decrease.")
    return np.array(times), np.array(rows).reshape(len(rows), len(variables))


def hourly_values(times: np.ndarray, values: np.ndarray, period: float) -> np.ndarray:
    """The last value of every hour, NaN in hours without one.

    Hour b holds the times in ``(b, b + 1]``, hour 0 also the time 0.

    Args:
      times: hours since admission, ``[N]``, in order; those below 0 or after the period are left
        out.
      values: ``[N, V]``, NaN where nothing was measured.
      period: length of the stay in hours.

    Returns:
      float32 ``[48, V]``.
    """
    found = np.full((HOURS, values.shape[1]), np.nan, np.float32)
    last = hours_of(period) - 1
    for time, row in zip(times, values, strict=True):
        if -_SLACK <= time <= min(period, HOURS) + _SLACK:
            hour = min(int(max(time - _SLACK, 0.0)), last)
            measured = ~np.isnan(row)
            found[hour, measured] = row[measured]
    return found


def forward_fill(values: np.ndarray) -> np.ndarray:
    """The last value so far in place of NaN; NaN stays where there was none yet.

    Args:
      values: ``[T, C]``.
    """
    rows = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(rows, axis=0), axis=0)


def column_statistics(
    series: Iterable[np.ndarray], columns: Sequence[str]
) -> dict[str, np.ndarray]:
    """Median and interquartile range of every column over what was measured.

    Percentiles are interpolated linearly. A column whose range is 0 gets 1, so that it is centred
    alone; one that was never measured gets the median 0.

    Args:
      series: hourly values ``[T, V]``, NaN where nothing was measured, not filled.
      columns: C names.

    Returns:
      ``{"median": float32 [C], "iqr": float32 [C]}``.
    """
    measured = make_columns(np.concatenate(list(series)), columns)
    median, iqr = np.zeros(len(columns)), np.ones(len(columns))
    for index, column in enumerate(measured.T):
        known = column[~np.isnan(column)]
        if len(known):
            low, median[index], high = np.percentile(known, [25, 50, 75])
            iqr[index] = (high - low) or 1.0
    return {"median": median.astype(np.float32), "iqr": iqr.astype(np.float32)}


def network_sequence(
    hourly: np.ndarray,
    hours: int,
    columns: Sequence[str],
    fitted: Mapping[str, np.ndarray],
    limit: float | None,
) -> dict[str, np.ndarray]:
    """What the network sees of a stay: filled, scaled values, and what was measured.

    Args:
      hourly: ``[48, V]``, NaN where nothing was measured.
      hours: of the stay; those after it are zeros.
      columns: C names.
      fitted: what `column_statistics` returns.
      limit: scaled values farther than this from 0 become 0; None for none.

    Returns:
      ``{"values": float32 [48, 2 C], "mask": bool [48]}``: C values, then C flags, 1 where the
      value was measured in that hour; the mask is True in the hours of the stay.
    """
    found = make_columns(hourly[:hours], columns)
    median, iqr = (np.asarray(fitted[name], np.float64) for name in ("median", "iqr"))
    filled = forward_fill(found)
    scaled = (np.where(np.isnan(filled), median, filled) - median) / iqr
    if limit is not None:
        scaled = np.where(np.abs(scaled) > limit, 0.0, scaled)
    values = np.zeros((HOURS, 2 * len(columns)), np.float32)
    values[:hours] = np.concatenate([scaled, ~np.isnan(found)], axis=1)
    return {"values": values, "mask": np.arange(HOURS) < hours}
