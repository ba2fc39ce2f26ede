"""Prepared copies of published data sets: opened, made and replaced."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from masam_jax.data.builders.registry import builder_class, default_source
from masam_jax.data.dataset_spec import DatasetSpec, MissingPackage

if TYPE_CHECKING:
    from masam_jax.data.builders.base import PublishedBuilder
    from masam_jax.data.builders.build_job import OnSample


def open_builder(dataset: DatasetSpec, data_dir: Path) -> PublishedBuilder:
    """The builder of a published data set, whose data may be prepared or not.

    Raises:
      ValueError: a package is missing, or what is prepared is damaged.
    """
    kind = _kind(dataset.name)
    place = _place(kind, data_dir)
    if not (place / "dataset_info.json").exists():
        return kind(data_dir=data_dir, options=dataset.options)
    try:
        return kind(data_dir=data_dir, options=dataset.options)
    except Exception as error:
        # TFDS reads what it wrote before, and has its own kinds of errors for each file.
        raise ValueError(
            f"{dataset.name}: what is prepared in {place} is damaged:"
            f" {type(error).__name__}: {str(error).rstrip('.')}. It can be prepared again with"
            f" masam datasets prepare {dataset.name} --overwrite."
        ) from error


def prepare_dataset(
    dataset: DatasetSpec,
    data_dir: Path,
    source: Path | None = None,
    *,
    threads: int = 2,
    strict: bool = False,
    overwrite: bool = False,
    progress: OnSample | None = None,
) -> PublishedBuilder:
    """Prepares a published data set, and returns its builder.

    Args:
      dataset: which one, and its options.
      data_dir: where prepared data go.
      source: directory of its own files; `default_source` when None.
      threads: decoding threads.
      strict: whether a damaged sample ends the build.
      overwrite: whether what is prepared already is replaced; it stays if this is stopped or fails,
        and comes back with the next call if this is killed.
      progress: told of every sample.

    Raises:
      ValueError: a package is missing, the source is missing (with what it must hold) or not as
        expected, it is prepared already, or, if ``strict``, a sample is damaged.
    """
    kind = _kind(dataset.name)
    place = _place(kind, data_dir)
    if kind.NEEDS_SOURCE and source is None:
        source = default_source(dataset.name, data_dir)
    if _put_back(place) and not overwrite:
        remove_leftovers(dataset, data_dir)
        return open_builder(dataset, data_dir)
    with _set_aside(place) if overwrite else contextlib.nullcontext():
        builder = open_builder(dataset, data_dir)
        if builder.is_prepared:
            remove_leftovers(dataset, data_dir)
            raise ValueError(f"{dataset.name} is prepared already in {place}.")
        builder.prepare(source, strict=strict, threads=threads, progress=progress)
    return builder


def remove_leftovers(dataset: DatasetSpec, data_dir: Path) -> None:
    """Removes what is beside prepared data of a build that was killed when they were whole."""
    place = _place(_kind(dataset.name), data_dir)
    unfinished = place.parent.glob("incomplete.*")
    for leftover in (_aside(place), place.with_name(f"{place.name}.encoded"), *unfinished):
        shutil.rmtree(leftover, ignore_errors=True)


def _kind(name: str) -> type[PublishedBuilder]:
    try:
        return builder_class(name)
    except ModuleNotFoundError as error:
        raise MissingPackage(name, error) from error


def _place(kind: type[PublishedBuilder], data_dir: Path) -> Path:
    return data_dir / kind.name / str(kind.VERSION)


def _aside(place: Path) -> Path:
    return place.with_name(f"{place.name}.replaced")


def _put_back(place: Path) -> bool:
    """Whether a copy was out of the way whose successor a killed build did not make."""
    if place.exists() or not _aside(place).exists():
        return False
    _aside(place).rename(place)
    return True


@contextlib.contextmanager
def _set_aside(place: Path) -> Iterator[None]:
    """Moves a prepared copy out of the way, and back if its successor is not made."""
    aside = _aside(place)
    if place.exists():
        shutil.rmtree(aside, ignore_errors=True)
        place.rename(aside)
    try:
        yield
    except BaseException:
        if aside.exists() and not place.exists():
            aside.rename(place)
        raise
    shutil.rmtree(aside, ignore_errors=True)
