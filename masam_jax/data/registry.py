"""Data sets by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from masam_jax.data.dataset import MultimodalData
from masam_jax.data.mfeat import load_mfeat
from masam_jax.data.synthetic import make_synthetic

_LOADERS: dict[str, Callable[[], MultimodalData]] = {
    "mfeat": load_mfeat,
    "synthetic": make_synthetic,
}


def dataset_names() -> tuple[str, ...]:
    """Names that :func:`load_dataset` accepts, sorted."""
    return tuple(sorted(_LOADERS))


def load_dataset(name: str) -> MultimodalData:
    """Load a data set by name; no network is used.

    Args:
      name: ``"mfeat"`` (:func:`load_mfeat`) or ``"synthetic"`` (:func:`make_synthetic` with its
        default configuration).

    Raises:
      ValueError: for an unknown name, with the nearest one.
    """
    if name not in _LOADERS:
        near = difflib.get_close_matches(str(name).lower(), dataset_names(), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(
            f"dataset: {name!r} is unknown{hint}; known data sets: {', '.join(dataset_names())}."
        )
    return _LOADERS[name]()
