"""Data sets that ship with the package, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from masam_jax.data import synthetic
from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.mfeat import load_mfeat
from masam_jax.data.synthetic import SyntheticConfig, make_synthetic


@dataclasses.dataclass(frozen=True)
class MfeatOptions:
    """``mfeat`` has no options."""


class Shipped(NamedTuple):
    """A data set in the package.

    Attributes:
      title: name for people.
      summary: a line for lists.
      options: dataclass of its options; its defaults are what is meant by the name.
      about: what documents it.
      load: makes it, given options or None.
    """

    title: str
    summary: str
    options: type
    about: Any
    load: Callable[[Any], MultimodalData]


SHIPPED: dict[str, Shipped] = {
    "mfeat": Shipped(
        "UCI Multiple Features",
        "handwritten digits (10) in six sets of features",
        MfeatOptions,
        load_mfeat,
        lambda options: load_mfeat(),
    ),
    "synthetic": Shipped(
        "Synthetic",
        "classes seen through modalities of chosen strength",
        SyntheticConfig,
        synthetic,
        make_synthetic,
    ),
}


def dataset_names() -> tuple[str, ...]:
    """Names of the data sets in the package, sorted."""
    return tuple(sorted(SHIPPED))
