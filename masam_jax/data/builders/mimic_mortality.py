"""MIMIC-IV with MIMIC-CXR: death in intensive care, or in hospital."""

from __future__ import annotations

import dataclasses
from typing import Literal

from masam_jax.data.builders.mimic.builder import LabelColumns, MimicBuilder, instructions
from masam_jax.data.builders.mimic.options import MimicOptions


@dataclasses.dataclass(frozen=True)
class MimicMortalityOptions(MimicOptions):
    """Variants; ``view``, ``xray_hours`` and ``outcome`` shape the prepared copy.

    Attributes:
      pairs: ``"paired"``, stays with an X-ray; ``"partial"``, all stays, some without.
      split: ``"folds"``, five folds of patients; ``"extraction"``, the extraction's own lists.
      fold: which fifth of the patients is the test set, 0 to 4; of ``split="folds"``.
      view: X-rays that count, ``"AP"``, ``"PA"`` or, for either, ``"frontal"``.
      xray_hours: hours after admission until which an X-ray counts; None for discharge.
      limit: scaled EHR values farther than this from 0 become 0; None for none.
      image_size: side of an X-ray, in pixels.
      channels: of an X-ray, 3, all alike, or 1.
      outcome: death in the ``"icu"``, or in ``"hospital"``.

    Raises:
      ValueError: for a value out of range.
    """

    outcome: Literal["icu", "hospital"] = "icu"


class MimicMortality(MimicBuilder):
    """Does a patient die in intensive care, seen after 48 hours there?

    Metric: AUPRC of the K = 1 label. Published: late fusion .567, best previous .585 (MMPareto),
    MASAM .603. Lists: ``in-hospital-mortality``, stays of at least 48 hours; the label is
    ``mortality_inunit`` of the table of stays, or ``icu_mortality`` of lists with folds of their
    own, which the authors' release takes. ``outcome="hospital"``: death in hospital, ``y_true`` of
    the lists, as MedFuse has it, or ``hospital_mortality``.
    """

    TITLE = "MIMIC-IV + CXR, mortality"
    TASK = "in-hospital-mortality"
    LABEL_COLUMNS = ("y_true",)
    CLASS_NAMES = ("death",)
    OPTIONS = MimicMortalityOptions
    PREPARED_WITH = ("view", "xray_hours", "outcome")
    MANUAL_DOWNLOAD_INSTRUCTIONS = instructions(TASK, "y_true", "mortality_inunit, ")

    options: MimicMortalityOptions

    @property
    def labels(self) -> LabelColumns:
        """By the option ``outcome``."""
        if self.options.outcome == "hospital":
            return LabelColumns(
                self.LABEL_COLUMNS,
                of_stays=False,
                given=("hospital_mortality",),
                without="the option outcome=icu reads death in intensive care in its place",
            )
        return LabelColumns(
            ("mortality_inunit",),
            of_stays=True,
            given=("icu_mortality",),
            without="the option outcome=hospital reads death in hospital in its place",
        )
