"""The merged table of ADNI: its columns, and how its cells are read."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

TABULAR: tuple[str, ...] = (
    *("AGE", "PTGENDER", "PTEDUCAT", "PTETHCAT", "PTRACCAT", "PTMARRY", "APOE4"),
    *("FDG", "PIB", "AV45", "ABETA", "TAU", "PTAU"),
    *("CDRSB", "ADAS11", "ADAS13", "ADASQ4", "MMSE"),
    *("RAVLT_immediate", "RAVLT_learning", "RAVLT_forgetting", "RAVLT_perc_forgetting"),
    *("LDELTOTAL", "DIGITSCOR", "TRABSCOR", "FAQ", "MOCA"),
    *("EcogPtMem", "EcogPtLang", "EcogPtVisspat", "EcogPtPlan"),
    *("EcogPtOrgan", "EcogPtDivatt", "EcogPtTotal"),
    *("EcogSPMem", "EcogSPLang", "EcogSPVisspat", "EcogSPPlan"),
    *("EcogSPOrgan", "EcogSPDivatt", "EcogSPTotal"),
    *("mPACCdigit", "mPACCtrailsB"),
)
"""The 43 columns of ADNIMERGE: demographics, APOE, PET, CSF, cognition, in its order."""

DIAGNOSTIC_SCORES: tuple[str, ...] = ("CDRSB", "MMSE", "LDELTOTAL", "mPACCdigit", "mPACCtrailsB")
"""Scores that the diagnosis rests on, and the two composites that contain two of them."""

CATEGORIES: Mapping[str, Mapping[str, int]] = {
    "PTGENDER": {"Female": 0, "Male": 1},
    "PTETHCAT": {"Not Hisp/Latino": 0, "Hisp/Latino": 1},
    "PTRACCAT": {
        "White": 0,
        "Black": 1,
        "Asian": 2,
        "Am Indian/Alaskan": 3,
        "Hawaiian/Other PI": 4,
        "More than one": 5,
    },
    "PTMARRY": {"Married": 0, "Divorced": 1, "Widowed": 2, "Never married": 3},
}
"""Columns of words, and the number that stands for each; ``"Unknown"`` is a missing value."""

# UCSF's codes of the 34 regions of the Desikan-Killiany atlas, left and right.
_CORTEX = (
    *(13, 14, 15, 23, 24, 25, 26, 31, 32, 34, 35, 36, 38, 39, 40, *range(43, 53)),
    *(*range(54, 61), 62, 72, 73, 74, *range(82, 86), 90, 91, 93, 94, 95, 97, 98, 99),
    *(*range(102, 112), *range(113, 120), 121, 129, 130),
)
# Its codes of what FreeSurfer's `aseg` segments, from the brainstem (1) to hypointensities (128).
_SUBCORTEX = (
    *(*range(1, 10), 11, 12, *range(16, 22), 29, 30, 37, 41, 42, 53, 61, *range(65, 72)),
    *(*range(75, 81), 88, 89, 96, 100, 101, 112, 120, *range(124, 129)),
)

MRI: tuple[str, ...] = (
    *(f"ST{code}CV" for code in _CORTEX),
    *(f"ST{code}TA" for code in _CORTEX),
    *(f"ST{code}SV" for code in _SUBCORTEX),
)
"""The 185 columns of UCSF's table: cortical volumes, cortical thickness, subcortical volumes."""

ADNI_COLUMNS: Mapping[str, tuple[str, ...]] = {"mri": MRI, "tabular": TABULAR}
"""Columns of each modality."""

_DIAGNOSES = {"CN": 0, "NL": 0, "MCI": 1, "Dementia": 2, "AD": 2}
_MISSING = ("", "NA", "NaN", "nan")
_VISIT = re.compile(r"bl|m(\d+)")
# Tables that went through pandas with a gap in the column have 45.0 for 45.
_WHOLE = re.compile(r"(\d{1,15})(?:\.0*)?", re.ASCII)


class Visits(NamedTuple):
    """The rows of the table, in its order.

    Attributes:
      subjects: RID, int64 ``[N]``.
      months: since baseline, int64 ``[N]``; -1 for the baseline visit.
      codes: visit codes, ``"bl"`` or ``"m06"``.
      labels: classes, int32 ``[N]``; -1 without a diagnosis.
      values: modality -> float64 ``[N, D]``, NaN where a value is missing.
    """

    subjects: np.ndarray
    months: np.ndarray
    codes: tuple[str, ...]
    labels: np.ndarray
    values: Mapping[str, np.ndarray]


def read_visits(path: Path) -> Visits:
    """Reads the merged table.

    Words become numbers by ``CATEGORIES``; of ``"<8"`` and ``">1700"`` the sign is dropped; MRI
    features below zero count as missing; of a conversion (``"MCI to Dementia"``) the later
    diagnosis is taken.

    Raises:
      ValueError: a column is missing, or there twice; a cell is not as expected, with its line.
    """
    import pandas as pd

    try:
        table = _read(path)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no CSV file: {error}") from error
    subjects, months = _visits(path, table)
    values = {
        name: np.stack([_numbers(path, table, column) for column in columns], axis=1)
        for name, columns in ADNI_COLUMNS.items()
    }
    values["mri"][values["mri"] < 0] = np.nan
    return Visits(subjects, months, tuple(table["VISCODE"]), _diagnoses(path, table), values)


def _read(path: Path) -> pd.DataFrame:
    """The columns that are needed, as text, under their short names."""
    import pandas as pd

    found: dict[str, str] = {}
    header = pd.read_csv(path, nrows=0).columns
    for name in ("RID", "VISCODE", "DX", *TABULAR, *MRI):
        suffixed = [column for column in header if column.startswith(f"{name}_UCSFFSX")]
        candidates = [name] if name in header else suffixed
        if len(candidates) > 1:
            raise ValueError(f"{path}: {name} is there as {candidates}; one column is needed.")
        found.update(dict.fromkeys(candidates, name))
    lacking = sorted({"RID", "VISCODE", "DX", *TABULAR, *MRI} - set(found.values()))
    if lacking and ({"D1", "D2"} <= set(header) or is_tadpole(path)):
        raise ValueError(_tadpole(path, header, lacking))
    if lacking:
        shown = ", ".join(lacking[:8]) + (", …" if len(lacking) > 8 else "")
        raise ValueError(f"{path} lacks {len(lacking)} columns: {shown}.")
    table = pd.read_csv(path, usecols=list(found), dtype=str, keep_default_na=False)
    return table.rename(columns=found).apply(lambda column: column.str.strip())


def is_tadpole(path: Path) -> bool:
    """Whether a file has the name of one of the TADPOLE challenge."""
    return path.name.upper().startswith("TADPOLE")


def _tadpole(path: Path, header: Collection[str], lacking: Sequence[str]) -> str:
    """What a table of the TADPOLE challenge is, and what it lacks."""
    tabular = sorted(set(lacking) & set(TABULAR))
    mri = len(set(lacking) & set(MRI))
    parts = [f"{mri} of {len(MRI)} columns of MRI"] if mri else []
    parts += [f"of ADNIMERGE {', '.join(tabular)}"] if tabular else []
    parts += [name for name in ("RID", "VISCODE", "DX") if name in lacking]
    longitudinal = any("UCSFFSL" in column for column in header)
    return (
        f"{path} is a table of the TADPOLE challenge, made of ADNIMERGE in 2017; it lacks"
        f" {'; '.join(parts)}."
        + (" Its UCSFFSL columns are the longitudinal ones." if longitudinal else "")
        + " ADNIMERGE joined with UCSF's cross-sectional FreeSurfer tables is needed:"
        " masam datasets info adni says how."
    )


def _visits(path: Path, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Subject and month of every row."""
    subjects, months = [], []
    seen: set[tuple[int, str]] = set()
    for line, (cell, visit) in enumerate(zip(table["RID"], table["VISCODE"], strict=True), start=2):
        whole = _WHOLE.fullmatch(cell)
        if whole is None:
            raise ValueError(f"{path}, line {line}: RID is {cell!r}; a whole number is needed.")
        subject = int(whole[1])
        match = _VISIT.fullmatch(visit)
        if match is None:
            raise ValueError(
                f"{path}, line {line}: VISCODE is {visit!r}; 'bl', 'm06', 'm12', … are known."
            )
        if (subject, visit) in seen:
            raise ValueError(f"{path}, line {line}: RID {subject} has a second visit {visit!r}.")
        seen.add((subject, visit))
        subjects.append(subject)
        months.append(-1 if match[1] is None else int(match[1]))
    return np.array(subjects, np.int64), np.array(months, np.int64)


def _diagnoses(path: Path, table: pd.DataFrame) -> np.ndarray:
    """Class of every row, -1 without a diagnosis."""
    labels = []
    for line, diagnosis in enumerate(table["DX"], start=2):
        latest = diagnosis.rpartition(" to ")[2]
        if latest not in _DIAGNOSES and diagnosis not in _MISSING:
            raise ValueError(
                f"{path}, line {line}: DX is {diagnosis!r}; {', '.join(_DIAGNOSES)} are known."
            )
        labels.append(_DIAGNOSES.get(latest, -1))
    return np.array(labels, np.int32)


def _numbers(path: Path, table: pd.DataFrame, column: str) -> np.ndarray:
    """A column as float64, NaN where a value is missing."""
    import pandas as pd

    text = table[column]
    missing = text.isin(_MISSING)
    if column in CATEGORIES:
        codes = CATEGORIES[column]
        known, missing = ", ".join(codes), missing | (text == "Unknown")
        numbers = text.map(codes).astype(float)
    else:
        known = "a number"
        numbers = pd.to_numeric(text.str.lstrip("<>").where(~missing, "nan"), errors="coerce")
    values = numbers.to_numpy(np.float64)
    bad = np.flatnonzero(~missing.to_numpy() & ~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"{path}, line {bad[0] + 2}: {column} is {text[int(bad[0])]!r}; {known} is needed."
        )
    return values
