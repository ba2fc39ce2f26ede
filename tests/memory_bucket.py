"""Buckets in memory, which epath and fsspec read as ``gs://`` like those of a network."""

from typing import ClassVar

import fsspec
from etils.epath import backend
from fsspec.implementations.memory import MemoryFileSystem


class MemoryBuckets(MemoryFileSystem):
    """Objects by their whole path; folders are what names have in common, as in a bucket."""

    protocol = ("gcs", "gs")
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]
    cachable = False
    # What writing is to fail with; None for nothing.
    failure: ClassVar[Exception | None] = None

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(path.removeprefix("gs://"))

    def _open(self, path, mode="rb", **options):
        if self.failure is not None and "w" in mode:
            raise self.failure
        return super()._open(path, mode, **options)


def use_memory(monkeypatch):
    """Makes ``gs://`` mean buckets in memory, empty ones."""
    fsspec.register_implementation("gcs", MemoryBuckets, clobber=True)
    monkeypatch.setattr(backend.fsspec_backend, "_get_filesystem", lambda name: MemoryBuckets())
    monkeypatch.setattr(MemoryBuckets, "store", {})
    monkeypatch.setattr(MemoryBuckets, "failure", None)
