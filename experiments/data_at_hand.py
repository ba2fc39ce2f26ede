"""Which data sets an experiment takes where none are named: published ones, or those that ship."""

from collections.abc import Sequence

from masam_jax.config.errors import user_errors
from masam_jax.config.published import settings_of
from masam_jax.data.builders.registry import BUILDERS, default_data_dir
from masam_jax.data.dataset_spec import parse_dataset
from masam_jax.data.prepare import open_builder

SHIPPED = ("mfeat", "synthetic:case=competition")
"""Digits in six sets of features; a modality that drowns another, by construction."""
QUICK = ("synthetic",)


def choose_datasets(named: Sequence[str], *, quick: bool) -> tuple[tuple[str, ...], str]:
    """The data sets to run on, and a sentence on why these where none were named.

    Args:
      named: as ``--dataset`` takes them.
      quick: whether it is only to be seen that everything runs.

    Raises:
      RunError: no data set has such a name, or what is prepared is damaged.
    """
    with user_errors():
        for name in named:
            parse_dataset(name)
        if named:
            return tuple(dict.fromkeys(named)), ""
        if quick:
            return QUICK, "Quick: few steps on data that ship, to see that everything runs."
        found = tuple(name for name in published_names() if _is_prepared(name))
    if found:
        return found, ""
    return SHIPPED, (
        f"None of the published data is prepared in {default_data_dir()}, so this runs on data that"
        " ship with the package."
    )


def published_names() -> tuple[str, ...]:
    """The data sets of the paper."""
    return tuple(
        name for name in BUILDERS if (found := settings_of(name)) is not None and found.published
    )


def _is_prepared(name: str) -> bool:
    # Importing a builder takes seconds.
    place = default_data_dir()
    return (place / name).is_dir() and open_builder(parse_dataset(name), place).is_prepared
