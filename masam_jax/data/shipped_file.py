"""Files of arrays that ship inside the package: the published ones, or none."""

from __future__ import annotations

import hashlib
import importlib.resources
import io
from importlib.resources.abc import Traversable

import numpy as np


def read_shipped(name: str, sha256: str) -> dict[str, np.ndarray]:
    """The arrays of ``masam_jax/data/files/NAME.npz``.

    Args:
      name: of the data set.
      sha256: of the published file, in hex.

    Raises:
      ValueError: the file in the installed package is missing, or is not the published one.
    """
    place = importlib.resources.files("masam_jax.data") / "files" / f"{name}.npz"
    return read_published(name, sha256, place)


def read_published(name: str, sha256: str, path: Traversable) -> dict[str, np.ndarray]:
    """The arrays of a file; see `read_shipped`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{name}: cannot read {path} ({error}); reinstall masam_jax.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(
            f"{name}: {path} is damaged: its sha256 is {found}, the published file has {sha256}; "
            "reinstall masam_jax."
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return dict(archive)
