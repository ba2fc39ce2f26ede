"""Data sets that ship with the package, by name."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable
from typing import Any

from masam_jax.data.dataset import MultimodalData
from masam_jax.data.mfeat import load_mfeat
from masam_jax.data.synthetic import SyntheticConfig, make_synthetic


@dataclasses.dataclass(frozen=True)
class MfeatOptions:
    """``mfeat`` has no options."""


_LOADERS: dict[str, Callable[[Any], MultimodalData]] = {
    "mfeat": lambda options: load_mfeat(),
    "synthetic": make_synthetic,
}
_OPTIONS: dict[str, type] = {"mfeat": MfeatOptions, "synthetic": SyntheticConfig}


def dataset_names() -> tuple[str, ...]:
    """Names that :func:`load_dataset` accepts, sorted."""
    return tuple(sorted(_LOADERS))


def dataset_options(name: str) -> type:
    """The dataclass of a shipped data set's options; its defaults are what is meant by the name."""
    return _OPTIONS[name]


def load_dataset(name: str, options: Any = None) -> MultimodalData:
    """Load a data set by name; no network is used.

    Args:
      name: ``"mfeat"`` (:func:`load_mfeat`) or ``"synthetic"`` (:func:`make_synthetic`).
      options: an instance of :func:`dataset_options`; the defaults when None.

    Raises:
      ValueError: for an unknown name, with the nearest one.
    """
    if name not in _LOADERS:
        near = difflib.get_close_matches(str(name).lower(), dataset_names(), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(
            f"dataset: {name!r} is unknown{hint}; known data sets: {', '.join(dataset_names())}."
        )
    return _LOADERS[name](options)
