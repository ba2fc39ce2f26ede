"""Variants of the two MIMIC data sets."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, get_args

from masam_jax.data.builders.mimic.folds import FOLDS
from masam_jax.data.builders.mimic.pairing import View

PairsName = Literal["paired", "partial"]
SplitName = Literal["folds", "extraction"]


@dataclasses.dataclass(frozen=True)
class MimicOptions:
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
    split: SplitName = "folds"
    fold: int = 0
    view: View = "AP"
    xray_hours: int | None = 48
    limit: float | None = 10.0
    image_size: int = 224
    channels: int = 3

    def __post_init__(self) -> None:
        """Checks every field."""
        for name, kind in (("pairs", PairsName), ("split", SplitName), ("view", View)):
            if getattr(self, name) not in get_args(kind):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; it must be one of {get_args(kind)}."
                )
        if self.fold not in range(FOLDS):
            raise ValueError(f"fold is {self.fold!r}; it must lie in 0..{FOLDS - 1}.")
        if self.xray_hours is not None and self.xray_hours < 1:
            raise ValueError(
                f"xray_hours is {self.xray_hours!r}; it must be at least 1, or be None."
            )
        if self.limit is not None and not 0 < self.limit < math.inf:
            raise ValueError(f"limit is {self.limit!r}; it must be finite and > 0, or be None.")
        if self.image_size < 1:
            raise ValueError(f"image_size is {self.image_size!r}; it must be at least 1.")
        if self.channels not in (1, 3):
            raise ValueError(f"channels is {self.channels!r}; it must be 1 or 3.")
