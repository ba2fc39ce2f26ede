"""Which classes were taken for which: counts over a split, written beside a run's result."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.training.storage.atomic_files import write_text
from masam_jax.training.storage.sealed_files import seal

COUNTS_FILE = "confusion.json"


def count_classes(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Samples of each true class by the class that was predicted, for every seed.

    Args:
      labels: the true classes ``[S, n]``, or zeros and ones ``[S, n, K]``.
      predicted: likewise.
      num_classes: C, or K labels.

    Returns:
      int64 ``[S, C, C]``, true classes down and predicted ones across; of K labels
      ``[S, K, 2, 2]``, likewise for each, absent before present.
    """
    shape: tuple[int, ...]
    if labels.ndim == 2:
        shape = (len(labels), num_classes, num_classes)
        (table, _) = np.indices(labels.shape)
    else:
        shape = (len(labels), num_classes, 2, 2)
        seed, _, label = np.indices(labels.shape)
        table = seed * num_classes + label
    cells = (table * shape[-1] + labels) * shape[-1] + predicted
    return np.bincount(cells.ravel(), minlength=int(np.prod(shape))).reshape(shape)


def write_counts(directory: Path, split: str, seeds: Sequence[int], counts: np.ndarray) -> None:
    """Writes ``confusion.json``, with a digest of its own content.

    Args:
      directory: the method's.
      split: what was predicted.
      seeds: S of them.
      counts: from `count_classes`.

    Raises:
      OSError: it cannot be written.
    """
    content: dict[str, Any] = {"split": split, "seeds": list(seeds), "counts": counts.tolist()}
    # On one line: with 101 classes, a line for each number would be most of the file.
    write_text(directory / COUNTS_FILE, json.dumps(seal(content)) + "\n")
