"""The data set that a configuration names, opened; prepared first where its files are at hand."""

from __future__ import annotations

from pathlib import Path

from masam_jax.config import InputConfig
from masam_jax.data import MultimodalData, load_dataset
from masam_jax.data.builders.build_job import OnSample
from masam_jax.data.builders.registry import default_data_dir, default_source
from masam_jax.data.dataset_spec import is_published, parse_dataset
from masam_jax.data.on_disk import PreparedData
from masam_jax.data.prepare import open_builder, prepare_dataset


def open_data(spec: str, inputs: InputConfig) -> MultimodalData | PreparedData:
    """Opens a data set for reading.

    Args:
      spec: ``NAME[:OPTION=VALUE,...]``, or a place in the name's.
      inputs: where prepared data are; ``source`` is where data of one's own are now, if they moved.

    Raises:
      ValueError: an unknown data set or option, a package that is missing, or data that are not
        prepared, or were prepared with other options.
    """
    return load_dataset(spec, data_dir=inputs.data_dir, moved=inputs.source)


def data_directory(inputs: InputConfig) -> Path:
    """Where prepared data live."""
    return default_data_dir() if inputs.data_dir is None else Path(inputs.data_dir)


def prepare_if_needed(spec: str, inputs: InputConfig, report: OnSample | None = None) -> None:
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
    builder = open_builder(dataset, data_dir)
    at_hand = inputs.source is not None or default_source(dataset.name, data_dir).is_dir()
    # What is missing is told by `open_data`.
    if not builder.is_prepared and (at_hand or not builder.NEEDS_SOURCE):
        source = None if inputs.source is None else Path(inputs.source)
        prepare_dataset(dataset, data_dir, source, threads=inputs.threads, progress=report)


def describe_damage(data: MultimodalData | PreparedData) -> str:
    """What was odd about the files when the data were prepared, a line each; empty for nothing."""
    if not isinstance(data, PreparedData):
        return ""
    builder = data.builder
    lines = [f"{data.name}: {warning}" for warning in builder.warnings]
    kinds = {"left out": builder.damaged, "kept with a stand-in": builder.replaced}
    for words, samples in kinds.items():
        if samples:
            key, reason = next(iter(samples.items()))
            lines.append(
                f"{data.name}: {len(samples)} samples were {words}, {key} for one:"
                f" {reason.rstrip('.')}. masam datasets info {data.name} says where all are named."
            )
    return "\n".join(lines)
