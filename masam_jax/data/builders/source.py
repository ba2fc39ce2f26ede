"""What a published data set's files hold, before anything is decoded."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

# TFDS keeps "all" for itself: the union of all splits.
UNDIVIDED = "full"
"""The split of samples that the source draws no line between."""


@dataclasses.dataclass(frozen=True)
class Record:
    """One sample of the source, listed but not yet read.

    Attributes:
      key: unique and stable, such as the file's stem; errors call it by this name.
      split: ``"train"``, ``"validation"``, ``"test"``, or `UNDIVIDED`.
      label: class in ``[0, C)``, or a tuple of K zeros and ones.
      source: what ``encode`` needs: paths, numbers, text.
      group: whose sample it is (patient, actor, video); a group stays on one side of a split.
    """

    key: str
    split: str
    label: int | tuple[int, ...]
    source: Mapping[str, Any]
    group: str = ""


@dataclasses.dataclass(frozen=True)
class Listing:
    """All samples of a source, in a fixed order, and where that order comes from.

    Attributes:
      records: the samples.
      provenance: what says which sample is where: ``{"rule": words, file name: sha256, …}``.
      warnings: what is odd about the source, a sentence each.
    """

    records: tuple[Record, ...]
    provenance: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for record in self.records:
            if record.key in seen:
                raise ValueError(f"the source lists {record.key!r} twice; names must be unique.")
            seen.add(record.key)


def check_places(source: Path, listing: Listing) -> None:
    """Refuses lists whose names lead out of the source: an absolute one, or one with ``..``.

    Links within the source are followed: they are how large data sets are laid out.

    Args:
      source: the directory.
      listing: what was found in it.

    Raises:
      ValueError: a file of a record lies elsewhere.
    """
    root = os.path.abspath(source)
    for record in listing.records:
        for path in _paths(record.source.values()):
            place = os.path.abspath(path)
            if "\0" in place or os.path.commonpath([root, place]) != root:
                raise ValueError(
                    f"the lists in {source} name the file {str(path)[:300]!r} for the sample"
                    f" {record.key[:100]!r}, which lies elsewhere; files below {source} are read."
                )


def _paths(values: Iterable[Any]) -> Iterator[Path]:
    for value in values:
        if isinstance(value, Path):
            yield value
        elif isinstance(value, list | tuple):
            yield from _paths(value)


def file_digest(path: Path) -> str:
    """sha256 (hex) of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def need(path: Path, what: str) -> Path:
    """The path, if something is there.

    Raises:
      ValueError: nothing is.
    """
    if not path.exists():
        raise ValueError(f"{path} does not exist; {what} is expected there.")
    return path
