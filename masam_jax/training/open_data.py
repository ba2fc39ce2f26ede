"""The data set that a configuration names, opened; prepared first where its files are at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from masam_jax.data import MultimodalData, load_dataset
from masam_jax.data.builders.registry import builder_class, default_data_dir, default_source
from masam_jax.data.dataset_spec import DatasetSpec, is_published, missing_package, parse_dataset
from masam_jax.data.prepared import PreparedData
from masam_jax.training.config import InputConfig

if TYPE_CHECKING:
    from masam_jax.data.builders.base import PublishedBuilder

Report = Callable[[str, int, int], None]
"""Told a data set's title, samples done, and samples in all."""


def open_data(spec: str, inputs: InputConfig) -> MultimodalData | PreparedData:
    """Opens a data set for reading.

    Args:
      spec: ``NAME[:OPTION=VALUE,...]``.
      inputs: where prepared data are.

    Raises:
      ValueError: an unknown data set or option, a package that is missing, or data that are not
        prepared, or were prepared with other options.
    """
    dataset = parse_dataset(spec)
    if not is_published(dataset.name):
        return load_dataset(dataset.name, dataset.options)
    data_dir = data_directory(inputs)
    builder = _builder(dataset, data_dir)
    if not builder.is_prepared:
        raise ValueError(
            f"data set {dataset.name!r} is not prepared in {data_dir}: masam datasets prepare"
            f" {dataset.name} --source DIR does that, from the files that masam datasets info"
            f" {dataset.name} describes."
        )
    return PreparedData(builder, data_dir)


def data_directory(inputs: InputConfig) -> Path:
    """Where prepared data live."""
    return default_data_dir() if inputs.data_dir is None else Path(inputs.data_dir)


def prepare_if_needed(spec: str, inputs: InputConfig, report: Report | None = None) -> None:
    """Prepares a published data set whose own files are there and which was not prepared yet.

    Args:
      spec: ``NAME[:OPTION=VALUE,...]``.
      inputs: where prepared data go, and where the files are: ``source``, or
        ``downloads/manual/NAME`` below the data directory.
      report: told of every sample.

    Raises:
      ValueError: the files are not as the data set's instructions say.
    """
    dataset = parse_dataset(spec)
    if not is_published(dataset.name):
        return
    data_dir = data_directory(inputs)
    builder = _builder(dataset, data_dir)
    if builder.is_prepared:
        return
    source = (
        default_source(dataset.name, data_dir) if inputs.source is None else Path(inputs.source)
    )
    if builder.NEEDS_SOURCE and inputs.source is None and not source.is_dir():
        return  # What is missing is told by `open_data`.

    def progress(done: int, count: int) -> None:
        if report is not None:
            report(builder.TITLE, done, count)

    builder.prepare(source, threads=inputs.threads, progress=progress)


def _builder(dataset: DatasetSpec, data_dir: Path) -> PublishedBuilder:
    try:
        kind = builder_class(dataset.name)
    except ModuleNotFoundError as error:
        raise ValueError(f"dataset {dataset.name!r} {missing_package(error)}") from error
    return kind(data_dir=data_dir, options=dataset.options)
