"""Which chest X-ray belongs to an ICU stay."""

from __future__ import annotations

import csv
import datetime
import gzip
import zlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TextIO

from masam_jax.data.builders.mimic.stays import Stay

View = Literal["AP", "PA", "frontal"]

METADATA = ("mimic-cxr-2.0.0-metadata.csv", "mimic-cxr-2.0.0-metadata.csv.gz")
"""Names of the table of images; the first one found is read."""

_VIEWS: Mapping[str, tuple[str, ...]] = {"AP": ("AP",), "PA": ("PA",), "frontal": ("AP", "PA")}
_COLUMNS = ("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate", "StudyTime")


class Xray(NamedTuple):
    """An image of a patient, and when it was taken. Later ones compare as larger."""

    taken: datetime.datetime
    dicom: str
    study: str
    subject: str

    def path(self, xrays: Path) -> Path:
        """Where the release keeps it.

        Args:
          xrays: folder of the release.
        """
        patient = Path("files") / f"p{self.subject[:2]}" / f"p{self.subject}"
        return xrays / patient / f"s{self.study}" / f"{self.dicom}.jpg"


def read_xrays(
    path: Path, view: View | Literal["any"], subjects: Collection[str]
) -> dict[str, list[Xray]]:
    """Images of some patients.

    Args:
      path: the release's table of images, plain or gzipped.
      view: the only one that counts, by ``ViewPosition``; ``"frontal"`` is AP or PA, ``"any"`` all.
      subjects: the patients.

    Returns:
      Patient -> images, in the order of time.

    Raises:
      ValueError: the table is not as expected.
    """
    found: dict[str, list[Xray]] = defaultdict(list)
    try:
        with _open(path) as file:
            table = csv.DictReader(file)
            lacking = [name for name in _COLUMNS if name not in (table.fieldnames or ())]
            if lacking:
                raise ValueError(f"{path}, line 1: there is no column {lacking[0]!r}.")
            for row in table:
                wanted = view == "any" or row["ViewPosition"] in _VIEWS[view]
                if row["subject_id"] in subjects and wanted:
                    taken = _moment(f"{path}, line {table.line_num}", row)
                    xray = Xray(taken, row["dicom_id"], row["study_id"], row["subject_id"])
                    found[xray.subject].append(xray)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: {error}.") from error
    return {subject: sorted(xrays) for subject, xrays in found.items()}


def last_xray(stay: Stay, xrays: Sequence[Xray], hours: int | None) -> Xray | None:
    """The last image from the admission to the ICU on; the larger name of two of one second.

    Args:
      stay: the stay.
      xrays: the patient's images.
      hours: after admission that count, both ends included; None for all until discharge.
    """
    end = stay.end if hours is None else stay.begin + datetime.timedelta(hours=hours)
    return max((xray for xray in xrays if stay.begin <= xray.taken <= end), default=None)


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _moment(at: str, row: Mapping[str, str]) -> datetime.datetime:
    try:
        # Times have lost leading zeros where a table was written as numbers.
        text = f"{row['StudyDate']} {int(float(row['StudyTime'])):06d}"
        return datetime.datetime.strptime(text, "%Y%m%d %H%M%S")
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(
            f"{at}: StudyDate and StudyTime are {row['StudyDate']!r} and {row['StudyTime']!r};"
            " such as 21300131 and 235900.5 are needed."
        ) from error
