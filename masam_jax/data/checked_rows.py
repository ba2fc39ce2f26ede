"""Samples of a data set by row, on disk or in memory, each checked as it is read."""

from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import jax
import numpy as np

from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.modality import Modality, check_sample

if TYPE_CHECKING:
    from masam_jax.data.on_disk import PreparedData


def checked_rows(data: PreparedData | MultimodalData, train: np.ndarray | None) -> CheckedRows:
    """The samples of a data set.

    Args:
      data: prepared, or in memory.
      train: rows that decoding is fitted to; None where nothing is fitted.

    Raises:
      ValueError: the training samples cannot be read.
    """
    if isinstance(data, MultimodalData):
        return _Memory(data)
    return _Prepared(data, np.arange(len(data)) if train is None else train)


class CheckedRows(Protocol):
    """Samples by row."""

    def key(self, row: int) -> str:
        """The sample's name."""

    def read(self, row: int) -> Mapping[str, Any]:
        """The sample, decoded without augmentation: modality -> what it has of it.

        Raises:
          ValueError: it is not what its modalities and the index say.
          Exception: of any kind, by whatever cannot read or decode it.
        """

    def nan_shares(self) -> Mapping[str, float]:
        """Stored table of floats -> share of NaN, of the rows read so far."""


class _Prepared:
    """Samples on disk."""

    def __init__(self, data: PreparedData, train: np.ndarray) -> None:
        self._data = data
        self._nan: collections.Counter[str] = collections.Counter()
        self._values: collections.Counter[str] = collections.Counter()
        try:
            data.builder.fitted = data.fit(train)
        except Exception as error:
            raise ValueError(
                f"{data.name}: the training samples cannot be read: {in_a_line(error)}"
            ) from error

    def key(self, row: int) -> str:
        return self._data.keys[row]

    def read(self, row: int) -> Mapping[str, Any]:
        stored = self._data.reader.stored(row)
        key, label = stored["key"].decode(), np.asarray(stored["label"])
        wanted = self._data.labels[row]
        if key != self._data.keys[row] or not np.array_equal(label, wanted):
            raise ValueError(
                f"row {row} holds {key!r} with the label {label.tolist()}; the index has"
                f" {self._data.keys[row]!r} with {wanted.tolist()} there."
            )
        for name, value in stored.items():
            if np.issubdtype(getattr(value, "dtype", np.object_), np.floating):
                self._nan[name] += int(np.isnan(value).sum())
                self._values[name] += value.size
        sample = self._data.builder.decode(stored, None)
        _check(self._data.modality_specs, sample)
        return sample

    def nan_shares(self) -> Mapping[str, float]:
        return {name: self._nan[name] / size for name, size in self._values.items() if size}


class _Memory:
    """Samples in memory."""

    def __init__(self, data: MultimodalData) -> None:
        self._data = data

    def key(self, row: int) -> str:
        return str(row) if self._data.keys is None else self._data.keys[row]

    def read(self, row: int) -> Mapping[str, Any]:
        present = self._data.present
        sample = {
            name: jax.tree.map(lambda values: values[row], tree)
            for name, tree in self._data.features.items()
            if name not in present or present[name][row]
        }
        _check(self._data.modality_specs, sample)
        return sample

    def nan_shares(self) -> Mapping[str, float]:
        return {}


def _check(specs: Mapping[str, Modality], sample: Mapping[str, Any]) -> None:
    """Raises ``ValueError`` for a sample that is not as its modalities say."""
    unheard_of = sorted(set(sample) - set(specs))
    if unheard_of or not sample:
        raise ValueError(
            f"the modalities are {sorted(sample)}; some of {sorted(specs)} are needed."
        )
    for name, found in sample.items():
        spec = specs[name]
        check_sample(name, spec, found)
        if not isinstance(found, dict):
            continue
        values = found["tokens" if spec.kind == "tokens" else "values"]
        if np.any(values[~found["mask"]]):
            raise ValueError(f"{name}: steps that are not real hold values; zeros are needed.")
        if spec.vocabulary_size is not None and not (
            values.min() >= 0 and values.max() < spec.vocabulary_size
        ):
            raise ValueError(
                f"{name}: tokens run from {values.min()} to {values.max()}; they must lie in"
                f" 0..{spec.vocabulary_size - 1}."
            )


def in_a_line(error: Exception) -> str:
    """What an error says, and what it is, where that matters."""
    words = " ".join(str(error).split())
    return words if isinstance(error, ValueError) else f"{type(error).__name__}: {words}"
