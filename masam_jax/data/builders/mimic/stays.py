"""The ICU stays that the benchmark extraction lists for a task."""

from __future__ import annotations

import csv
import datetime
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from masam_jax.data.builders.mimic.ehr_series import HOURS
from masam_jax.data.builders.source import file_digest, need

_NAME = re.compile(r"(\d+)_episode\d+_timeseries\.csv")


class Stay(NamedTuple):
    """A stay of a task.

    Attributes:
      name: of its time series, without the ending.
      series: the file.
      subject: the patient.
      period: how long it is looked at, in hours.
      labels: K zeros and ones.
      split: ``"train"``, ``"validation"`` or ``"test"`` of the extraction.
      begin: admission to the ICU.
      end: discharge from it.
    """

    name: str
    series: Path
    subject: str
    period: float
    labels: tuple[int, ...]
    split: str
    begin: datetime.datetime
    end: datetime.datetime


def read_stays(
    extraction: Path,
    task: str,
    label_columns: Sequence[str],
    *,
    of_stays: bool = False,
    without: str = "",
) -> tuple[list[Stay], dict[str, str]]:
    """All stays of a task: by split, then by name.

    Args:
      extraction: its folder.
      task: the folder of the task in it.
      label_columns: K columns of the lists, or of the table of stays.
      of_stays: whether they are in the table of stays.
      without: what to do where there is no such column.

    Returns:
      The stays, and list -> sha256.

    Raises:
      ValueError: a list is missing, or a line of it is not as expected.
    """
    times_path = need(extraction / "root" / "all_stays.csv", "the extraction's table of stays")
    times = _read_times(times_path, label_columns if of_stays else (), without)
    lists = {split: extraction / task / split / "listfile.csv" for split in ("train", "test")}
    held_out = extraction / task / "val_listfile.csv"
    validation: set[str] = set()
    digests = {_name(extraction, times_path): file_digest(times_path)}
    if held_out.is_file():
        validation = {row["stay"] for _, row in _read(held_out, ("stay",))}
        digests[_name(extraction, held_out)] = file_digest(held_out)
    stays = []
    for split, path in lists.items():
        need(path, f"the extraction's list of {task}")
        digests[_name(extraction, path)] = file_digest(path)
        needed = () if of_stays else label_columns
        for at, row in _read(path, ("stay", "stay_id"), needed, without):
            stay = _stay(at, row, path.parent, split, label_columns, times, of_stays)
            if split == "train" and row["stay"] in validation:
                stay = stay._replace(split="validation")
            stays.append(stay)
    known = {stay.series.name for stay in stays if stay.split == "validation"}
    if validation - known:
        raise ValueError(
            f"{held_out} names {len(validation - known)} stays that {lists['train']} does not, such"
            f" as {min(validation - known)}."
        )
    order = ("train", "validation", "test")
    return sorted(stays, key=lambda stay: (order.index(stay.split), stay.name)), digests


def _stay(
    at: str,
    row: Mapping[str, str],
    folder: Path,
    split: str,
    label_columns: Sequence[str],
    times: Mapping[int, _Times],
    of_stays: bool,
) -> Stay:
    matched = _NAME.fullmatch(row["stay"])
    if matched is None:
        raise ValueError(
            f"{at}: stay is {row['stay']!r}; <subject>_episode<k>_timeseries.csv is needed."
        )
    stay_id = int(_number(at, row, "stay_id"))
    if stay_id not in times or times[stay_id].subject != matched[1]:
        raise ValueError(f"{at}: stay and stay_id are of no stay of this patient in all_stays.csv.")
    # The lists of the mortality task say 0, and mean 48 hours.
    period = _number(at, row, "period_length") if "period_length" in row else 0.0
    if period < 0:
        raise ValueError(f"{at}: period_length is {period}; it must be >= 0.")
    labelled, there = (times[stay_id].row, times[stay_id].at) if of_stays else (row, at)
    labels = [_number(there, labelled, name) for name in label_columns]
    for name, label in zip(label_columns, labels, strict=True):
        if label not in (0, 1):
            raise ValueError(f"{there}: {name} is {labelled[name]!r}; 0 or 1 is needed.")
    return Stay(
        name=row["stay"].removesuffix("_timeseries.csv"),
        series=folder / row["stay"],
        subject=matched[1],
        period=period or float(HOURS),
        labels=tuple(int(label) for label in labels),
        split=split,
        begin=_moment(times[stay_id], "intime"),
        end=_moment(times[stay_id], "outtime"),
    )


class _Times(NamedTuple):
    """A line of the table of stays, whose moments are not read yet: some stays lack one."""

    at: str
    subject: str
    row: Mapping[str, str]


def _read_times(path: Path, label_columns: Sequence[str], without: str) -> dict[int, _Times]:
    """stay_id -> its line."""
    found = {}
    columns = ("subject_id", "stay_id", "intime", "outtime")
    for at, row in _read(path, columns, label_columns, without):
        subject = str(int(_number(at, row, "subject_id")))
        found[int(_number(at, row, "stay_id"))] = _Times(at, subject, row)
    return found


def _moment(times: _Times, name: str) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(times.row[name])
    except ValueError as error:
        raise ValueError(
            f"{times.at}: {name} is {times.row[name]!r}; such as 2130-01-31 23:59:00 is needed."
        ) from error


def _read(
    path: Path, columns: Sequence[str], label_columns: Sequence[str] = (), without: str = ""
) -> Iterator[tuple[str, dict[str, str]]]:
    """Each line's place, for errors, and cells."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            needed = (*columns, *label_columns)
            lacking = [name for name in needed if name not in (table.fieldnames or ())]
            if lacking:
                cure = f"; {without}" if without and lacking[0] in label_columns else ""
                raise ValueError(f"{path}, line 1: there is no column {lacking[0]!r}{cure}.")
            for row in table:
                at = f"{path}, line {table.line_num}"
                if None in row or None in row.values():
                    raise ValueError(f"{at}: {len(table.fieldnames or ())} cells are needed.")
                yield at, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: {error}.") from error


def _number(at: str, row: Mapping[str, str], name: str) -> float:
    try:
        number = float(row[name])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{at}: {name} is {row[name]!r}; a number is needed.")
    return number


def _name(extraction: Path, path: Path) -> str:
    return path.relative_to(extraction).as_posix()
