"""Data sets that ship with the package, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from masam_jax.data import synthetic
from masam_jax.data.av_mnist import AvMnistOptions, load_av_mnist
from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.leaves100 import load_leaves100
from masam_jax.data.mfeat import load_mfeat
from masam_jax.data.synthetic import SyntheticConfig, make_synthetic


@dataclasses.dataclass(frozen=True)
class MfeatOptions:
    """``mfeat`` has no options."""


@dataclasses.dataclass(frozen=True)
class LeavesOptions:
    """``leaves100`` has no options."""


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
    "av_mnist": Shipped(
        "Spoken and written digits",
        "spoken and written digits (10), log-mel spectrograms and images",
        AvMnistOptions,
        load_av_mnist,
        load_av_mnist,
    ),
    "leaves100": Shipped(
        "One-hundred plant species leaves",
        "leaves of plant species (100) in three sets of features",
        LeavesOptions,
        load_leaves100,
        lambda options: load_leaves100(),
    ),
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
