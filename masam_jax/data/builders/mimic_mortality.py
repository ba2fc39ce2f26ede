"""MIMIC-IV with MIMIC-CXR: death in hospital."""

from __future__ import annotations

from masam_jax.data.builders.mimic.builder import MimicBuilder, instructions


class MimicMortality(MimicBuilder):
    """Does a patient die in hospital, seen after 48 hours in intensive care?

    Metric: AUPRC of the K = 1 label. Published: late fusion .567, best previous .585 (MMPareto),
    MASAM .603. Lists: ``in-hospital-mortality``, stays of at least 48 hours; the label is
    ``y_true``.
    """

    TITLE = "MIMIC-IV + CXR, mortality"
    TASK = "in-hospital-mortality"
    LABEL_COLUMNS = ("y_true",)
    CLASS_NAMES = ("death in hospital",)
    MANUAL_DOWNLOAD_INSTRUCTIONS = instructions(TASK, "y_true")
