"""The merged table of ADNI, made up."""

from pathlib import Path

import numpy as np

from masam_jax.data.builders.adni_table import CATEGORIES, MRI, TABULAR

SUFFIX = "_UCSFFSX_11_02_15_UCSFFSX51_08_01_16"
DIAGNOSES = ("CN", "MCI", "Dementia")


def make_rows(subjects: int = 45, visits: int = 2) -> list[dict[str, str]]:
    """Rows of the table: subjects of the three diagnoses in turn, each at ``visits`` visits.

    Every tenth value is missing, and PIB always. RID 4, 14, … have no MRI at their last visit, RID
    6, 16, … no diagnosis. MMSE and the first MRI feature tell the diagnosis.
    """
    numbers = np.random.default_rng(0)
    rows = []
    for subject in range(1, subjects + 1):
        for visit in range(visits):
            label = subject % 3
            row = {"RID": str(subject), "VISCODE": f"m{6 * visit:02d}" if visit else "bl"}
            row["DX"] = DIAGNOSES[label]
            for name in (*TABULAR, *MRI):
                row[name] = "" if numbers.random() < 0.1 else f"{numbers.normal(50, 5):.3f}"
            for name, codes in CATEGORIES.items():
                row[name] = [*codes, "Unknown"][int(numbers.integers(len(codes) + 1))]
            row |= {"MMSE": str(30 - 4 * label), MRI[0]: str(2000 - 300 * label), "PIB": "NA"}
            row["ABETA"] = (">1700", "<8", "812.5")[subject % 3]
            if visit and visit == visits - 1:
                if subject % 10 == 4:
                    row |= dict.fromkeys(MRI, "")
                if subject % 10 == 6:
                    row["DX"] = ""
            rows.append(row)
    return rows


def write_rows(path: Path, rows: list[dict[str, str]], suffix: str = SUFFIX) -> None:
    """Writes the table as the merge leaves it, with columns that nothing reads."""
    import pandas as pd

    path.parent.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows).rename(columns={name: f"{name}{suffix}" for name in MRI})
    table.insert(3, "DX_bl", "CN")
    table[f"ST102SA{suffix}"] = "1234"
    table.to_csv(path, index=False)


def make_source(directory: Path, *, subjects: int = 45, visits: int = 2) -> None:
    """A source directory with the merged table; the rows are those of `make_rows`, reversed."""
    write_rows(directory / "ADNI_merged.csv", make_rows(subjects, visits)[::-1])
