"""What is known of prepared samples without reading them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Index:
    """What is known of every prepared sample without reading it, in the order of the rows.

    Attributes:
      keys: names of the samples.
      splits: ``"train"``, ``"validation"``, ``"test"`` or ``"full"`` (`UNDIVIDED`).
      labels: int32 ``[N]``, or ``[N, K]`` of zeros and ones.
      groups: whose sample it is; ``""`` where that is not known.
    """

    keys: tuple[str, ...]
    splits: np.ndarray
    labels: np.ndarray
    groups: np.ndarray

    @classmethod
    def of_tables(cls, tables: Mapping[str, Mapping[str, Sequence[Any]]]) -> Index:
        """Of splits one after the other.

        Args:
          tables: split -> ``"keys"``, ``"groups"`` and ``"labels"`` of its samples.
        """
        splits: list[str] = []
        keys: list[str] = []
        groups: list[str] = []
        labels: list[Any] = []
        for split, table in tables.items():
            splits += [split] * len(table["keys"])
            keys += table["keys"]
            groups += table["groups"]
            labels += table["labels"]
        return cls(tuple(keys), np.array(splits), np.array(labels, np.int32), np.array(groups))

    def digest(self) -> str:
        """sha256 (hex) of names, splits, labels and groups."""
        parts = [self.keys, self.splits.tolist(), self.labels.tolist(), self.groups.tolist()]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
