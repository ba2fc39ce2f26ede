"""The layout with folds of its own: ``splits/fold1`` to ``fold5``, ``time_series/<stay>.csv``."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from masam_jax.data.builders.mimic.ehr_series import HOURS
from masam_jax.data.builders.mimic.folds import FOLDS
from masam_jax.data.builders.source import file_digest, need
from masam_jax.data.damaged_media import DamagedMedia, damaged

_PARTS = {"train": "train", "val": "validation", "test": "test"}
_SERIES, _SPLITS, _STATISTICS = "time_series", "splits", "train_stats.yaml"
_TIME = "time_step"
_NO_FEATURES = (_TIME, "stay_id", "subject_id", "hadm_id")
_IMAGES = re.compile(r"[(\[]\s*['\"]([0-9a-f-]+)['\"]")


class GivenStay(NamedTuple):
    """A stay of the lists.

    Attributes:
      stay_id: its name.
      subject: the patient.
      labels: K zeros and ones.
      dicom: its last X-ray; empty without one.
      parts: its part in each of the five folds; ``"none"`` where a fold does not list it.
    """

    stay_id: str
    subject: str
    labels: tuple[int, ...]
    dicom: str
    parts: tuple[str, ...]


class GivenFolds(NamedTuple):
    """What the layout's lists say.

    Attributes:
      root: the folder that has ``splits`` and ``time_series``.
      stays: by name.
      features: V columns of the time series.
      digests: list -> sha256.
    """

    root: Path
    stays: tuple[GivenStay, ...]
    features: tuple[str, ...]
    digests: Mapping[str, str]

    def series(self, stay: GivenStay) -> Path:
        """Where a stay's time series is expected."""
        return self.root / _SERIES / f"{stay.stay_id}.csv"


def find_given_folds(source: Path) -> Path | None:
    """The folder with this layout, in the source directory or one below it; None if there is none.

    Args:
      source: the directory.
    """
    places = [source, *sorted(path for path in source.iterdir() if path.is_dir())]
    return next((place for place in places if (place / _SPLITS / "fold1").is_dir()), None)


def read_given_folds(root: Path, label_columns: Sequence[str], without: str = "") -> GivenFolds:
    """Reads all lists.

    Args:
      root: the folder with ``splits`` and ``time_series``.
      label_columns: K columns of the lists.
      without: what to do where there is no such column.

    Raises:
      ValueError: a list is missing, or a line of it is not as expected.
    """
    need(root / _SERIES, "the folder of time series, <stay>.csv,")
    found: dict[str, GivenStay] = {}
    digests = {}
    for fold in range(FOLDS):
        for name, part in _PARTS.items():
            path = need(root / _SPLITS / f"fold{fold + 1}" / f"stays_{name}.csv", "a list of stays")
            digests[path.relative_to(root).as_posix()] = file_digest(path)
            for stay in _read(path, label_columns, without):
                before = found.setdefault(stay.stay_id, stay)
                if (before.subject, before.labels) != (stay.subject, stay.labels):
                    raise ValueError(f"{path}: stay {stay.stay_id} differs from another list's.")
                parts = list(before.parts)
                if parts[fold] != "none":
                    raise ValueError(f"{path}: stay {stay.stay_id} is in {parts[fold]} too.")
                parts[fold] = part
                found[stay.stay_id] = before._replace(parts=tuple(parts))
    stays = tuple(sorted(found.values()))
    if not stays:
        raise ValueError(f"{root / _SPLITS} lists no stay.")
    return GivenFolds(root, stays, _features(root, stays), digests)


def read_given_series(path: Path, features: Sequence[str]) -> np.ndarray:
    """Values of each of the first 48 hours, float32 ``[48, V]``, NaN where there are none.

    Args:
      path: with the column ``time_step``, hours, and those of the features; others are ignored.
      features: V columns.

    Raises:
      DamagedMedia: the file is missing, or not such a table.
    """
    found = np.full((HOURS, len(features)), np.nan, np.float32)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            lacking = [name for name in (_TIME, *features) if name not in (table.fieldnames or ())]
            if lacking:
                raise DamagedMedia(f"{path}: there is no column {lacking[0]!r}.")
            rows = 0
            for row in table:
                hour = int(float(row[_TIME]))
                values = [float(row[name] or "nan") for name in features]
                rows += 1
                if 0 <= hour < HOURS:
                    found[hour] = values
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, TypeError) as error:
        raise damaged(path, error) from error
    if not rows:
        raise DamagedMedia(f"{path}: there is no measurement.")
    return np.where(np.isfinite(found), found, np.float32(np.nan))


def _read(path: Path, label_columns: Sequence[str], without: str) -> list[GivenStay]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file)
        columns = ("stay_id", "subject_id", "valid_cxrs", *label_columns)
        lacking = [name for name in columns if name not in (table.fieldnames or ())]
        if lacking:
            cure = f"; {without}" if without and lacking[0] in label_columns else ""
            raise ValueError(f"{path}, line 1: there is no column {lacking[0]!r}{cure}.")
        stays = []
        for row in table:
            where = f"{path}, line {table.line_num}"
            labels = [row[name] for name in label_columns]
            try:
                numbers = tuple(float(label) for label in labels)
                stay, subject = (str(int(float(row[n]))) for n in ("stay_id", "subject_id"))
            except (TypeError, ValueError):
                raise ValueError(
                    f"{where}: numbers are needed for stay_id, subject_id and labels."
                ) from None
            if not set(numbers) <= {0.0, 1.0}:
                raise ValueError(f"{where}: labels are {labels}; 0 or 1 is needed.")
            # Pairs of an image's name and its time, in Python's words, the last one latest.
            images = _IMAGES.findall(row["valid_cxrs"] or "")
            stays.append(
                GivenStay(
                    stay,
                    subject,
                    tuple(int(number) for number in numbers),
                    images[-1] if images else "",
                    ("none",) * FOLDS,
                )
            )
    return stays


def _features(root: Path, stays: Sequence[GivenStay]) -> tuple[str, ...]:
    """Columns of the first time series that there is: those that the statistics name."""
    paths = [root / _SERIES / f"{stay.stay_id}.csv" for stay in stays]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise ValueError(f"none of {len(paths)} time series exists; the first is {paths[0]}.")
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    statistics = root / _SPLITS / "fold1" / _STATISTICS
    known = None
    if statistics.is_file():
        text = statistics.read_text(encoding="utf-8")
        known = {key.strip("'\"") for key in re.findall(r"^([^\s#].*?):\s*$", text, re.MULTILINE)}
    features = [
        name
        for name in header
        if name not in _NO_FEATURES
        and "mask" not in name
        and "=" not in name
        and (known is None or name in known)
    ]
    if not features:
        raise ValueError(f"{path} has no column that is a feature; it has {header[:8]}.")
    return tuple(features)
