"""Encoding of many records at once, in order, with a memory of what was done before."""

from __future__ import annotations

import collections
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.data.array_files import parse_npz
from masam_jax.data.builders.source import Record
from masam_jax.data.damaged_media import DamagedMedia

StoredExample = dict[str, Any]
Encode = Callable[[Record], StoredExample]

# Records under way for each thread: enough that none waits, little enough for memory.
_AHEAD = 4


def encode_in_order(
    records: Iterable[Record], encode: Encode, threads: int
) -> Iterator[tuple[Record, StoredExample | DamagedMedia]]:
    """Each record with its example, or with what is wrong with it, in the order of the records.

    Args:
      records: what to encode.
      encode: from a record to its example; runs in several threads.
      threads: how many, at least 1.
    """

    def attempt(record: Record) -> StoredExample | DamagedMedia:
        try:
            return encode(record)
        except DamagedMedia as error:
            return error

    rest = iter(records)
    waiting: collections.deque[tuple[Record, Future[StoredExample | DamagedMedia]]] = (
        collections.deque()
    )
    with ThreadPoolExecutor(threads) as pool:
        try:
            for record in itertools.islice(rest, threads * _AHEAD):
                waiting.append((record, pool.submit(attempt, record)))
            while waiting:
                record, future = waiting.popleft()
                yield record, future.result()
                for following in itertools.islice(rest, 1):
                    waiting.append((following, pool.submit(attempt, following)))
        finally:
            # Also when the reader stops half-way: what has not begun shall not.
            pool.shutdown(wait=False, cancel_futures=True)


class EncodedCache:
    """Examples on disk, so that a build that was stopped goes on where it was.

    An example is found again only if the record's files, and those in its folders, have the size
    and the time they had.
    """

    def __init__(self, directory: Path, encode: Encode) -> None:
        """Of one build.

        Args:
          directory: made when missing.
          encode: makes the examples that are not there yet.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._encode = encode

    def __call__(self, record: Record) -> StoredExample:
        """The record's example, read if it is there, else made and written."""
        path = self._directory / f"{_fingerprint(record)}.npz"
        if path.is_file():
            try:
                return _read(path)
            except (OSError, ValueError):
                path.unlink()
        example = self._encode(record)
        _write(path, example)
        return example


def _fingerprint(record: Record) -> str:
    parts = [record.key]
    for name, value in sorted(record.source.items()):
        parts.append(f"{name}={value}")
        if not isinstance(value, Path):
            continue
        # A folder is one of frames.
        for file in sorted(value.iterdir()) if value.is_dir() else [value]:
            if file.is_file():
                status = file.stat()
                parts.append(f"{file.name}:{status.st_size}:{status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _write(path: Path, example: StoredExample) -> None:
    arrays: dict[str, np.ndarray] = {}
    for name, value in example.items():
        if isinstance(value, bytes):
            arrays[f"bytes:{name}"] = np.frombuffer(value, np.uint8)
        elif isinstance(value, list):
            arrays[f"count:{name}"] = np.asarray(len(value))
            for index, item in enumerate(value):
                arrays[f"item:{name}:{index}"] = np.frombuffer(item, np.uint8)
        else:
            arrays[f"array:{name}"] = np.asarray(value)
    partial = path.with_name(f"{path.stem}.{os.getpid()}.part")
    with partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    partial.replace(path)


def _read(path: Path) -> StoredExample:
    example: StoredExample = {}
    file = parse_npz(path.read_bytes())
    for entry, array in file.items():
        kind, _, name = entry.partition(":")
        if kind == "bytes":
            example[name] = array.tobytes()
        elif kind == "count":
            items = [f"item:{name}:{i}" for i in range(min(int(array), len(file)))]
            if len(items) != array or not file.keys() >= set(items):
                raise ValueError(f"{path} lacks some of {name!r}")
            example[name] = [file[item].tobytes() for item in items]
        elif kind == "array":
            example[name] = array.item() if array.ndim == 0 else array
    return example
