"""Modalities that too few samples have to be trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from masam_jax.data.in_memory import MultimodalData

if TYPE_CHECKING:
    from masam_jax.data.on_disk import Data


def scarce_modalities(data: Data, rows: np.ndarray) -> tuple[str, ...]:
    """A sentence on each modality that most of the rows lack.

    Args:
      data: the data.
      rows: of the training samples.

    Raises:
      ValueError: no row has a modality.
    """
    warnings = []
    for modality, has in _presence(data).items():
        share = float(has[rows].mean())
        if share == 0:
            raise ValueError(
                f"{data.name}: none of the {len(rows):,} training samples has the modality"
                f" {modality!r}; data without it, or with samples that have it, are needed."
            )
        if share < 0.5:
            warnings.append(
                f"{data.name}: {100 * (1 - share):.0f} % of the training samples lack the modality"
                f" {modality!r}."
            )
    return tuple(warnings)


def _presence(data: Data) -> Mapping[str, np.ndarray]:
    """Modality -> bool ``[N]``, as far as is known without reading."""
    if isinstance(data, MultimodalData):
        return data.present
    found = data.builder.lacking
    return {
        modality: np.array([key not in keys for key in data.keys])
        for modality, keys in found.items()
    }
