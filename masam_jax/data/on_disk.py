"""A published data set that was prepared, read from disk sample by sample."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from masam_jax.core.specs import unknown
from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.modality import Modality
from masam_jax.data.sample_reader import SampleReader, read_in_parts
from masam_jax.data.splits import Split

if TYPE_CHECKING:
    from masam_jax.data.builders.base import PublishedBuilder


class PreparedData:
    """Rows on disk, in the order of the builder's index.

    Attributes:
      name: what the data set is called in configs and reports.
      labels: int32 classes ``[N]``, or zeros and ones ``[N, K]``.
      reader: reads the samples.
    """

    def __init__(self, builder: PublishedBuilder, data_dir: Path) -> None:
        """Of a builder whose data are prepared.

        Args:
          builder: with the options that are wanted.
          data_dir: where it was prepared.

        Raises:
          ValueError: nothing is prepared, or for other options.
        """
        self.name = builder.name
        self._builder = builder
        self._index = builder.index
        self.labels = self._index.labels
        self.labels.setflags(write=False)
        self._data_dir = data_dir.absolute()
        self.reader = SampleReader(type(builder), self._data_dir, builder.options)

    def __reduce__(self) -> tuple[Any, ...]:
        # A builder does not travel; another process opens its own.
        kind, options = type(self._builder), self._builder.options
        return _reopen, (kind, self._data_dir, options, self.reader)

    def __copy__(self) -> PreparedData:
        """The same rows, opened once."""
        copied = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, modalities: Iterable[str]) -> PreparedData:
        """The same rows seen through some of the modalities only.

        Raises:
          ValueError: for an unknown modality (with the nearest name), or none at all.
        """
        chosen = tuple(modalities)
        for modality in chosen or ("",):
            if modality not in self.modality_specs:
                found = unknown("modality", modality, self.modalities)
                raise ValueError(f"data set {self.name!r}: {found}")
        selected = copy.copy(self)
        selected.reader = self.reader.select(chosen)
        return selected

    @property
    def builder(self) -> PublishedBuilder:
        """What the data are."""
        return self._builder

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the samples."""
        return self._index.keys

    @property
    def num_classes(self) -> int:
        """C, or K."""
        return self._builder.num_classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the C classes, or of the K labels."""
        return tuple(self._builder.CLASS_NAMES)

    @property
    def multi_label(self) -> bool:
        """Whether a row has K labels of zero or one, rather than one class."""
        return self._builder.MULTI_LABEL

    @property
    def is_regression(self) -> bool:
        """Whether a row has numbers for targets, which no published data set here has."""
        return False

    @property
    def metric(self) -> str:
        """The published metric."""
        return self._builder.METRIC

    @property
    def modality_specs(self) -> Mapping[str, Modality]:
        """Modality name -> what its samples look like, sorted."""
        chosen = self.reader.chosen
        specs = sorted(self._builder.modalities.items())
        return {m: spec for m, spec in specs if chosen is None or m in chosen}

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, sorted."""
        return tuple(self.modality_specs)

    @property
    def has_missing(self) -> bool:
        """Whether rows may lack a modality."""
        return self._builder.has_missing

    def split(
        self,
        *,
        seed: int,
        split_seed: int = 0,
        train_size: int | None = None,
        validation_size: int | None = None,
        test_size: int | None = None,
    ) -> Split:
        """Rows of the three parts for one training seed, as published."""
        return self._builder.split(
            self._index,
            seed=seed,
            split_seed=split_seed,
            train_size=train_size,
            validation_size=validation_size,
            test_size=test_size,
        )

    def digest(self) -> str:
        """sha256 (hex) of names, splits, labels and groups: which data these are."""
        return self._builder.index_digest()

    def fit(self, rows: np.ndarray) -> Any:
        """Finds in the training samples what decoding needs, and keeps it.

        Returns:
          What was found, plain values and arrays; None where nothing is needed.
        """
        self.reader.fitted = self._builder.fit(lambda: (self.reader.stored(row) for row in rows))
        return self.reader.fitted

    def in_memory(self) -> MultimodalData:
        """All samples, decoded without augmentation; for small data alone.

        Raises:
          ValueError: a sample is damaged.
        """
        parts = list(read_in_parts(self.reader, np.arange(len(self))))
        inputs, present = (
            jax.tree.map(lambda *arrays: np.concatenate(arrays), *trees)
            for trees in zip(*((part.inputs, part.present) for part in parts), strict=True)
        )
        return MultimodalData(
            self.name,
            inputs,
            self.labels,
            self.num_classes,
            specs=self.modality_specs,
            present=present,
            metric=self.metric,
            splitter=self.split,
            class_names=self.class_names,
            keys=self.keys,
        )


Data = MultimodalData | PreparedData
"""A data set, in memory or on disk."""


def _reopen(
    kind: type[PublishedBuilder], data_dir: Path, options: Any, reader: SampleReader
) -> PreparedData:
    """Data that another process opened."""
    data = PreparedData(kind(data_dir=data_dir, options=options), data_dir)
    data.reader = reader
    return data
