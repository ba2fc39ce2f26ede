"""Modalities that too few samples of a source have."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence


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
