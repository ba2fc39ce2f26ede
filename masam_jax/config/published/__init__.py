"""Published settings, a file for each data set: what ``masam train --dataset NAME`` starts from."""

from __future__ import annotations

import importlib

from masam_jax.config.published.own import own_settings
from masam_jax.config.published.settings import PublishedSettings
from masam_jax.core.specs import cut_specification

_NAMES = (
    "adni",
    "av_digits",
    "av_mnist",
    "crema_d",
    "food101",
    "kinetics_sounds",
    "leaves100",
    "mimic_mortality",
    "mimic_phenotype",
    "ur_funny",
)


def settings_of(dataset: str) -> PublishedSettings | None:
    """The settings of a data set; None for those that the command line's own defaults are for.

    Args:
      dataset: ``NAME[:OPTION=VALUE,...]``.
    """
    name, _ = cut_specification(dataset)
    if name not in _NAMES:
        return None
    module = importlib.import_module(f"masam_jax.config.published.{name}")
    settings: PublishedSettings = getattr(module, name.upper())
    return settings


__all__ = ["PublishedSettings", "own_settings", "settings_of"]
