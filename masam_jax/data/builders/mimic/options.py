"""Variants of the two MIMIC data sets."""

from __future__ import annotations

import dataclasses
from typing import Literal

from masam_jax.core.specs import Options, check_choice, option
from masam_jax.data.builders.mimic.folds import FOLDS
from masam_jax.data.builders.mimic.pairing import View

PairsName = Literal["paired", "partial"]
MimicSplit = Literal["folds", "extraction"]


@dataclasses.dataclass(frozen=True)
class MimicOptions(Options):
    """Variants; ``view`` and ``xray_hours`` shape the prepared copy, all others share one.

    Attributes:
      pairs: ``"paired"``, stays with an X-ray; ``"partial"``, all stays, some without.
      split: ``"folds"``, five folds of patients; ``"extraction"``, the extraction's own lists.
      fold: which fifth of the patients is the test set, 0 to 4; of ``split="folds"``.
      view: X-rays that count, ``"AP"``, ``"PA"`` or, for either, ``"frontal"``.
      xray_hours: hours after admission until which an X-ray counts; None for discharge.
      limit: scaled EHR values farther than this from 0 become 0; None for none.
      image_size: side of an X-ray, in pixels.
      channels: of an X-ray, 3, all alike, or 1.

    Raises:
      ValueError: for a value out of range.
    """

    pairs: PairsName = "paired"
    split: MimicSplit = "folds"
    fold: int = option(0, f"[0, {FOLDS - 1}]")
    view: View = "AP"
    xray_hours: int | None = option(48, "[1, inf)")
    limit: float | None = option(10.0, "(0, inf)")
    image_size: int = option(224, "[1, inf)")
    channels: int = 3

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        check_choice("channels", self.channels, (1, 3))
