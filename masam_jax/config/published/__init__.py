"""Published settings, a file for each data set: what ``masam train --dataset NAME`` starts from."""

from __future__ import annotations

import importlib

from masam_jax.config.published.settings import Settings
from masam_jax.methods.option_grammar import cut_specification

_NAMES = (
    "adni",
    "av_digits",
    "crema_d",
    "food101",
    "kinetics_sounds",
    "mimic_mortality",
    "mimic_phenotype",
    "ur_funny",
)


def settings_of(dataset: str) -> Settings | None:
    """The settings of a data set; None for those that the command line's own defaults are for.

    Args:
      dataset: ``NAME[:OPTION=VALUE,...]``.
    """
    name, _ = cut_specification(dataset)
    if name not in _NAMES:
        return None
    module = importlib.import_module(f"masam_jax.config.published.{name}")
    settings: Settings = module.SETTINGS
    return settings


__all__ = ["Settings", "settings_of"]
