"""The experiments by name: what ``masam experiment`` lists and finds."""

import importlib

from experiments.paper import PaperExperiment
from masam_jax.config.errors import RunError
from masam_jax.core.specs import unknown

NAMES = (
    "main_table",
    "ablation",
    "unimodal",
    "flatness",
    "label_noise",
    "robustness",
    "sensitivity",
    "cost",
    "dynamics",
)
"""In the paper's order; each is a file of this folder."""
FURTHER = ("study",)
"""Of our own, which take hours: ``all`` leaves them out."""


def find(name: str) -> PaperExperiment:
    """The experiment of that name.

    Raises:
      RunError: there is none; the message names the nearest.
    """
    if name not in (*NAMES, *FURTHER):
        raise RunError(unknown("experiment", name, (*NAMES, *FURTHER, "all")))
    experiment: PaperExperiment = importlib.import_module(f"experiments.{name}").EXPERIMENT
    return experiment


def questions() -> dict[str, str]:
    """Every experiment's name, and what it answers."""
    return {name: find(name).question for name in (*NAMES, *FURTHER)}
