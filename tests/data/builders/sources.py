"""The sources of all published data sets, made up, by name; each takes about a second to read."""

import importlib
from pathlib import Path

from masam_jax.data.builders.registry import BUILDERS
from masam_jax.data.dataset_spec import DatasetSpec, options_of, write_dataset

# What `make_source` of each data set's module is given.
_SIZES: dict[str, dict[str, object]] = {
    "adni": {"visits": 1},
    "crema_d": {"seconds": 1.2},
    "food101": {"features": True},
    "kinetics_sounds": {"seconds": 1.2},
    "mimic_mortality": {"task": "in-hospital-mortality"},
    "mimic_phenotype": {"task": "phenotyping"},
}
# Modules of those that share one.
_MODULES = dict.fromkeys(("mimic_mortality", "mimic_phenotype"), "mimic")

_OPTIONS: dict[str, dict[str, object]] = {
    "av_digits": {"samples": 60, "snr_db": 20.0},
    "crema_d": {"image_size": 32},
    "food101": {"image_size": 32, "length": 12, "vocabulary_size": 100},
    "kinetics_sounds": {"image_size": 32, "frames": 2},
    "mimic_mortality": {"image_size": 32},
    "mimic_phenotype": {"image_size": 32},
    "ur_funny": {"max_steps": 8},
}


def make_any_source(name: str, directory: Path) -> None:
    """A data set's files in its source's own layout, in a directory that need not be there.

    At least 20 samples to train on and 6 to test on; the test samples have every class that the
    source has, so that no metric is undefined.
    """
    if name not in BUILDERS:
        raise ValueError(f"{name!r} is none of {sorted(BUILDERS)}.")
    module = importlib.import_module(f"tests.data.builders.{_MODULES.get(name, name)}_source")
    module.make_source(directory, **_SIZES.get(name, {}))


def fixture_options(name: str) -> dict[str, object]:
    """Options that make its samples small; all others are the published ones."""
    return dict(_OPTIONS.get(name, {}))


def fixture_spec(name: str) -> str:
    """The same as a command line says it, such as ``"crema_d:image_size=32"``."""
    return write_dataset(DatasetSpec(name, options_of(name)(**fixture_options(name))))
