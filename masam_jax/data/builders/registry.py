"""Published data sets by name; a builder is imported when it is asked for."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from masam_jax.data.builders.base import PublishedBuilder


class Entry(NamedTuple):
    """Where a builder is, and a line about it.

    Attributes:
      place: ``module:class`` below ``masam_jax.data.builders``.
      summary: a line for lists.
    """

    place: str
    summary: str


BUILDERS: dict[str, Entry] = {
    "adni": Entry("adni:Adni", "diagnosis (3) from clinical tables and MRI regions"),
    "av_digits": Entry("av_digits:AvDigits", "handwritten and spoken digits (10), synthesised"),
    "crema_d": Entry("crema_d:CremaD", "emotion (6) from speech and face"),
    "food101": Entry("food101:Food101", "dishes (101) from image and recipe text (UPMC)"),
    "kinetics_sounds": Entry("kinetics_sounds:KineticsSounds", "actions (31) from sound and video"),
    "mimic_mortality": Entry("mimic_mortality:MimicMortality", "death in the ICU, EHR and X-ray"),
    "mimic_phenotype": Entry("mimic_phenotype:MimicPhenotype", "25 phenotypes, EHR and X-ray"),
    "ur_funny": Entry("ur_funny:UrFunny", "humour (2) from video, audio and text"),
}


def default_data_dir() -> Path:
    """Where prepared data live: ``$MASAM_DATA_DIR``, or ``~/masam_data``."""
    return Path(os.environ.get("MASAM_DATA_DIR") or Path.home() / "masam_data")


def default_source(name: str, data_dir: Path) -> Path:
    """Where a data set's own files are looked for."""
    return data_dir / "downloads" / "manual" / name


def builder_class(name: str) -> type[PublishedBuilder]:
    """The builder of that name.

    Raises:
      ModuleNotFoundError: an extra of the package is not installed.
    """
    module, _, kind = BUILDERS[name].place.partition(":")
    return getattr(importlib.import_module(f"masam_jax.data.builders.{module}"), kind)
