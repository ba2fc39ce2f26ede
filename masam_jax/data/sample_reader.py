"""Samples of prepared data as the network sees them, row by row, in any process."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from masam_jax.data.batch import Batch
from masam_jax.data.draws import Draws
from masam_jax.data.modality import Modality

if TYPE_CHECKING:
    from masam_jax.data.builders.base import PublishedBuilder


class SampleReader:
    """Reads and decodes rows of prepared data; threads and processes may share it.

    Attributes:
      fitted: what `PublishedBuilder.fit` found in the training samples, or None.
      chosen: the modalities that samples have; None for all.
    """

    def __init__(
        self, kind: type[PublishedBuilder], data_dir: Path, options: Any, fitted: Any = None
    ) -> None:
        """Of a data set that was prepared.

        Args:
          kind: its builder.
          data_dir: where it was prepared.
          options: of the builder.
          fitted: what its `fit` found.
        """
        self._kind = kind
        self._data_dir = data_dir
        self._options = options
        self.fitted = fitted
        self.chosen: tuple[str, ...] | None = None
        self._opened: _Opened | None = None
        self._lock = threading.Lock()

    def select(self, modalities: tuple[str, ...]) -> SampleReader:
        """A reader of the same samples with some of the modalities."""
        selected = SampleReader(self._kind, self._data_dir, self._options, self.fitted)
        selected.chosen = modalities
        return selected

    def __getstate__(self) -> dict[str, Any]:
        # Open files and locks stay behind; another process opens its own.
        state = self.__dict__.copy()
        del state["_opened"], state["_lock"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._opened, self._lock = None, threading.Lock()

    def stored(self, row: int) -> Mapping[str, Any]:
        """What is stored of a row; images as pixels, several of them decoded one by one."""
        opened = self._open()
        split = int(np.searchsorted(opened.ends, row, side="right"))
        begin = opened.ends[split - 1] if split else 0
        return opened.sources[split][int(row - begin)]

    def __call__(
        self, rows: Sequence[int] | np.ndarray, draws: Sequence[Draws] | None = None
    ) -> Batch:
        """Rows as the network sees them.

        Args:
          rows: their numbers ``[B]``.
          draws: for the augmentation of each; None for none.
        """
        opened = self._open()
        chosen = self.chosen
        specs = {m: s for m, s in opened.specs.items() if chosen is None or m in chosen}
        decoded = [
            opened.builder.decode(self.stored(int(row)), None if draws is None else draws[i])
            for i, row in enumerate(rows)
        ]
        return Batch(
            inputs={m: _stack([one.get(m) for one in decoded], specs[m]) for m in specs},
            present={m: np.array([m in one for one in decoded], np.bool_) for m in specs},
        )

    def _open(self) -> _Opened:
        with self._lock:
            if self._opened is None:
                self._opened = _Opened(self._kind, self._data_dir, self._options)
            self._opened.builder.fitted = self.fitted
            return self._opened


class _Opened:
    """A builder and its sources, one for each split, in the order of the rows."""

    def __init__(self, kind: type[PublishedBuilder], data_dir: Path, options: Any) -> None:
        from masam_jax.data.builders.stored_images import image_decoders

        self.builder = kind(data_dir=data_dir, options=options)
        self.specs: dict[str, Modality] = dict(sorted(self.builder.modalities.items()))
        index = self.builder.index
        names = list(dict.fromkeys(index.splits.tolist()))
        decoders = image_decoders(self.builder.stored_features())
        self.sources = [self.builder.as_data_source(name, decoders=decoders) for name in names]
        self.ends = np.cumsum([np.count_nonzero(index.splits == name) for name in names])


def _stack(samples: Sequence[Any], spec: Modality) -> Any:
    blank = spec.template
    whole = [blank if sample is None else sample for sample in samples]
    return jax.tree.map(lambda *arrays: np.stack(arrays), *whole)


def read_in_parts(reader: SampleReader, rows: np.ndarray, size: int = 64) -> Iterator[Batch]:
    """The rows in order, at most ``size`` at a time, without augmentation."""
    for start in range(0, len(rows), size):
        yield reader(rows[start : start + size])
