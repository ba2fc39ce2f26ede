"""ADNI: diagnosis from clinical tables and regional MRI."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from masam_jax.core.specs import Options, option
from masam_jax.data.builders.adni_table import (
    ADNI_COLUMNS,
    DIAGNOSTIC_SCORES,
    MRI,
    TABULAR,
    is_tadpole,
    read_visits,
)
from masam_jax.data.builders.base import PublishedBuilder
from masam_jax.data.builders.index import Index
from masam_jax.data.builders.source import UNDIVIDED, Listing, Record, file_digest
from masam_jax.data.builders.tfds import tfds
from masam_jax.data.draws import Draws
from masam_jax.data.modality import Modality
from masam_jax.data.permutation import seeded_permutation

# Of `seeded_permutation`; `masam_jax.data.splits` and the pipeline use 0 to 5.
_FOLDS = 6


@dataclasses.dataclass(frozen=True)
class AdniOptions(Options):
    """Variants of ADNI; all of them share one prepared copy.

    Attributes:
      fold: which fifth of the subjects is the test set, 0 to 4.
      visit: ``"bl"``, the baseline visit of each subject, or ``"all"`` visits.
      diagnostic_scores: False leaves out the five scores of ``DIAGNOSTIC_SCORES``, so 38 remain.

    Raises:
      ValueError: for a value out of range.
    """

    fold: int = option(0, "[0, 4]")
    visit: Literal["bl", "all"] = "bl"
    diagnostic_scores: bool = True


class Adni(PublishedBuilder):
    """ADNI: cognitively normal (CN), mild cognitive impairment (MCI) or dementia (AD).

    Two modalities of one visit: ``tabular``, 43 columns of ADNIMERGE, and ``mri``, 185 regional
    features that UCSF measured with FreeSurfer, cross-sectionally. Metric: mAP, the mean over
    classes of the average precision of one class against the others. Published: late fusion .826,
    AUG .847, MASAM .857.

    The paper states the classes, the numbers of columns and the metric. Which columns, visits and
    subjects it used, how it filled gaps and how it split, it does not; what follows is our choice.

    1. A visit is a sample if it has a diagnosis (``DX``) and at least one MRI value. The class is
       the diagnosis at that visit; of a conversion (``"MCI to Dementia"``) it is the later one.
    2. ``tabular`` is ``TABULAR`` of ``adni_table``: what ADNIMERGE has of demographics, APOE, PET,
       CSF and cognition, without FBB, which older exports lack. Words are coded by ``CATEGORIES``.
       ``"<8"`` and ``">1700"`` (CSF beyond the assay's range) are read as 8 and 1700.
    3. ``mri`` is ``MRI`` of ``adni_table``: volume (CV) and mean thickness (TA) of the 34 cortical
       regions of each hemisphere, 136, and volumes (SV) of 49 subcortical structures. Left out are
       surface areas, standard deviations of thickness, whole hemispheres, intracranial volume, and
       labels that name no region (unknown, undetermined, interior, corpus callosum as cortex). A
       negative value is a missing one. Nothing is divided by intracranial volume; failed quality
       ratings are kept; FreeSurfer 4.3 (1.5 T) and 5.1 (3 T) are taken together.
    4. A missing value is replaced by its column's median over the training samples; by 0 where no
       training sample has one. Nothing tells the network which values were missing.
    5. Each column is standardised over the training samples.
    6. One sample a subject: the baseline visit (``visit="all"`` takes every visit).
    7. Split by subject (RID): subjects of each class (of the first visit that is a sample), in an
       order drawn with the split seed, are dealt in turn to ten tenths, CN, then MCI, then AD. Of
       fold f, tenths 2f and 2f + 1 are test (20 %), the next one is validation (10 %), the others
       are train (70 %). All visits of a subject are on one side.

    Cognitive scores leak: clinicians diagnose by CDR, MMSE and logical memory (LDELTOTAL) among
    others, so that the tabular modality alone nearly is the diagnosis. Our 43 columns hold them.
    ``diagnostic_scores=False`` leaves out CDRSB, MMSE and LDELTOTAL, and the two mPACC composites,
    which are computed from MMSE and LDELTOTAL among others.
    """

    VERSION = tfds.core.Version("1.0.0")
    TITLE = "ADNI"
    CLASS_NAMES = ("CN", "MCI", "AD")
    METRIC = "map"
    HOMEPAGE = "https://adni.loni.usc.edu"
    CITATION = """@article{petersen2010adni,
  author = {Petersen, R. C. and Aisen, P. S. and Beckett, L. A. and others},
  title = {Alzheimer's Disease Neuroimaging Initiative (ADNI): Clinical characterization},
  journal = {Neurology},
  volume = {74},
  number = {3},
  pages = {201--209},
  year = {2010}
}"""
    OPTIONS = AdniOptions
    IN_MEMORY = True
    MANUAL_DOWNLOAD_INSTRUCTIONS = """One CSV file, of any name, and no other .csv file:

    adni/
      ADNI_merged.csv

It is ADNIMERGE joined with UCSF's cross-sectional FreeSurfer tables. Apply for access at
https://adni.loni.usc.edu, then download from the study data (LONI IDA):
  - ADNIMERGE: key ADNI tables merged into one (ADNIMERGE*.csv);
  - UCSF cross-sectional FreeSurfer 4.3 (UCSFFSX_*.csv, ADNI 1) and 5.1 (UCSFFSX51_*.csv, GO/2).
Put the rows of the two UCSF tables one below the other. Their visit is VISCODE2 where there is one,
else VISCODE; 'sc' and 'scmri' are the scan of the baseline visit, 'bl'. Join them to ADNIMERGE by
RID and that visit, keeping every row of ADNIMERGE, one row a visit. Columns: RID, VISCODE ('bl',
'm06', ...), DX, the 43 of TABULAR and the 185 of MRI (masam_jax/data/builders/adni_table.py);
others are ignored. A UCSF column may carry its table's name: ST101SV, or
ST101SV_UCSFFSX_11_02_15_UCSFFSX51_08_01_16. Missing values are empty or NA. A table of the TADPOLE
challenge (TADPOLE_D1_D2.csv) will not do: it lacks columns, and is refused with their names."""

    @property
    def columns(self) -> Mapping[str, tuple[str, ...]]:
        """Names of each modality's features, in their order, for these options."""
        left_out = () if self.options.diagnostic_scores else DIAGNOSTIC_SCORES
        return {"mri": MRI, "tabular": tuple(name for name in TABULAR if name not in left_out)}

    @property
    def modalities(self) -> Mapping[str, Modality]:
        """``mri`` [185] and ``tabular`` [43] (or [38]), vectors."""
        return {name: Modality("vector", (len(found),)) for name, found in self.columns.items()}

    def stored_features(self) -> dict[str, Any]:
        """All 43 and 185 columns, NaN where a value is missing."""
        return {
            name: tfds.features.Tensor(shape=(len(columns),), dtype=np.float32)
            for name, columns in ADNI_COLUMNS.items()
        }

    def listing(self, source: Path) -> Listing:
        """The visits of the CSV file that have a diagnosis and an MRI value, by RID and month."""
        files = sorted(source.glob("*.csv"))
        challenge = [path for path in files if is_tadpole(path)]
        if len(files) > 1 and challenge:
            # Its archive holds several; the error of the first says what they are.
            files = challenge[:1]
        if len(files) != 1:
            raise ValueError(
                f"{source} holds {len(files)} .csv files; one is needed, the merged table:\n"
                f"{self.MANUAL_DOWNLOAD_INSTRUCTIONS}"
            )
        path = files[0]
        visits = read_visits(path)
        subjects, labels = visits.subjects, visits.labels
        scanned = np.isfinite(visits.values["mri"]).any(axis=1)
        rows = np.flatnonzero((labels >= 0) & scanned)
        rows = rows[np.lexsort((visits.months[rows], subjects[rows]))]
        records = [
            Record(
                key=f"{subjects[row]:04d}_{visits.codes[row]}",
                split=UNDIVIDED,
                label=int(labels[row]),
                source={name: found[row] for name, found in visits.values.items()},
                group=f"{subjects[row]:04d}",
            )
            for row in rows
        ]
        missing = ", ".join(
            f"{name} {np.isnan(found[rows]).sum() / max(1, found[rows].size):.1%}"
            for name, found in visits.values.items()
        )
        provenance = {
            "rule": "visits with a diagnosis and an MRI value; ten tenths of subjects, stratified",
            "left_out": f"{int((labels < 0).sum())} visits without a diagnosis,"
            f" {int(((labels >= 0) & ~scanned).sum())} without any MRI value",
            "missing": missing,
            path.name: file_digest(path),
        }
        return Listing(tuple(records), provenance)

    def encode(self, record: Record) -> dict[str, Any]:
        """The row's values."""
        return {name: record.source[name].astype(np.float32) for name in ADNI_COLUMNS}

    def fit(self, examples: Callable[[], Iterator[Mapping[str, Any]]]) -> Any:
        """Median of every column over the training samples, and the share that is missing.

        Returns:
          ``{"median": {modality: float32 [D]}, "missing": {modality: share}}``, of all columns.
        """
        rows = list(examples())
        values = {
            name: np.array([row[name] for row in rows], np.float64).reshape(len(rows), -1)
            for name in ADNI_COLUMNS
        }
        return {
            "median": {
                name: np.array([_median(column) for column in found.T], np.float32)
                for name, found in values.items()
            },
            "missing": {name: float(np.isnan(found).mean()) for name, found in values.items()},
        }

    def decode(self, example: Mapping[str, Any], draws: Draws | None) -> dict[str, Any]:
        """The columns that the options ask for, medians in place of missing values.

        Raises:
          ValueError: ``fitted`` was not set to what `fit` returns.
        """
        del draws
        if self.fitted is None:
            raise ValueError(
                "adni: `fitted` is None; missing values need the training medians, which fit(...)"
                " returns."
            )
        decoded = {}
        for name, columns in self.columns.items():
            median = np.asarray(self.fitted["median"][name], np.float32)
            stored = np.asarray(example[name], np.float32)
            filled = np.where(np.isnan(stored), median, stored)
            decoded[name] = filled[[ADNI_COLUMNS[name].index(column) for column in columns]]
        return decoded

    def parts(self, index: Index, split_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The fold's three parts; ``split_seed`` draws the tenths (see the class)."""
        parts = np.full(10, "train", "<U10")
        first = 2 * self.options.fold
        parts[[first, first + 1]] = "test"
        parts[(first + 2) % 10] = "validation"
        names = parts[_tenths(index.labels, index.groups, split_seed)]
        if self.options.visit == "bl":
            names[[not key.endswith("_bl") for key in index.keys]] = "none"
        return names, index.groups


def _tenths(labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Which tenth each row's subject is in, 0 to 9."""
    _, first_rows, subjects = np.unique(groups, return_index=True, return_inverse=True)
    classes = labels[first_rows]
    tenths = np.empty(len(classes), np.int32)
    dealt = 0
    for label in np.unique(classes):
        members = np.flatnonzero(classes == label)
        order = seeded_permutation(len(members), seed, _FOLDS, int(label))
        tenths[members[order]] = (dealt + np.arange(len(members))) % 10
        dealt += len(members)
    return tenths[subjects]


def _median(column: np.ndarray) -> float:
    present = column[~np.isnan(column)]
    return float(np.median(present)) if len(present) else 0.0
