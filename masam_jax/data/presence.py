"""Modalities that too few samples have to be trained on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from masam_jax.data.in_memory import MultimodalData

if TYPE_CHECKING:
    from masam_jax.data.on_disk import Data


def lost_modalities(
    name: str,
    split: str,
    modalities: Sequence[str],
    keys: Sequence[str],
    lacking: Mapping[str, Collection[str]],
    lost: Mapping[str, str],
) -> list[str]:
    """Warnings of modalities that more samples of a split lost than have, when it is prepared.

    Args:
      name: the data set.
      split: of the source.
      modalities: all of them.
      keys: samples that were read.
      lacking: modality -> those that lack it.
      lost: samples whose files could not be read -> why.

    Raises:
      ValueError: no sample to train on has a modality.
    """
    first = "none is listed with it."
    if lost:
        key, reason = next(iter(lost.items()))
        first = f"{len(lost):,} could not be read, the first is {key}: {reason}"
    have = {m: len(set(keys) - set(lacking.get(m, ()))) for m in modalities}
    for modality, count in have.items():
        if not count and split not in ("validation", "test"):
            raise ValueError(
                f"{name}: no sample of the split {split!r} has the modality {modality!r}: {first}"
            )
    if set(have.values()) == {len(keys)} and len(lost) > len(keys):
        return [f"{split}: {len(keys):,} samples could be read, {first}"]
    return [
        f"{split}: {count:,} samples have the modality {modality!r}; {first}"
        for modality, count in have.items()
        if len(lost) > count
    ]


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
