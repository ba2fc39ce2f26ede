"""Data sets that TFDS prepared, read without TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.core.extras import needs
from masam_jax.data.own.columns import Columns, as_objects


def is_prepared_builder(folder: Path) -> bool:
    """Whether TFDS prepared a data set in a folder, that of its version."""
    return (folder / "features.json").is_file() and (folder / "dataset_info.json").is_file()


def read_prepared_builder(folder: Path) -> Columns:
    """All splits, one after the other, with a column ``split``; features in features joined by _.

    Pictures stay as they are stored; classes keep their names.

    Raises:
      ValueError: it is damaged, empty, or stored so that only TensorFlow reads it.
      ModuleNotFoundError: TFDS is missing.
    """
    with needs("a prepared TFDS builder", "data"):
        import tensorflow_datasets as tfds

    class AsStored(tfds.decode.Decoder):
        """The bytes of a picture."""

        def decode_example_np(self, serialized_example: Any) -> Any:
            return serialized_example

        def decode_example(self, serialized_example: Any) -> Any:
            return serialized_example

    try:
        builder = tfds.builder_from_directory(str(folder))
        features = dict(builder.info.features.items())
        decoders = {
            name: AsStored()
            for name, feature in features.items()
            if isinstance(feature, tfds.features.Image)
        }
        form = getattr(builder.info.file_format, "value", builder.info.file_format)
        if form != "array_record":
            raise ValueError(
                f"its file format is {form}, which TensorFlow alone reads; prepare it with"
                ' file_format="array_record"'
            )
        rows, splits = [], []
        for split, source in builder.as_data_source(decoders=decoders or None).items():
            rows += [_flat(source[index]) for index in range(len(source))]
            splits += [split] * len(source)
    # TFDS's errors, by what is damaged.
    except Exception as error:
        words = " ".join(str(error).split())
        raise ValueError(f"{folder}: it cannot be read: {words or type(error).__name__}") from error
    if not rows:
        raise ValueError(f"{folder}: it has no row")
    arrays = {name: _column([row[name] for row in rows]) for name in rows[0]}
    if len(set(splits)) > 1:
        arrays.setdefault("split", as_objects(splits))
    classes = {
        name: tuple(feature.names)
        for name, feature in features.items()
        if isinstance(feature, tfds.features.ClassLabel) and feature.names
    }
    return Columns(str(folder), arrays, folder, classes)


def _flat(example: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in example.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}_")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _column(values: list[Any]) -> np.ndarray:
    if all(isinstance(value, bytes) for value in values):
        try:
            return as_objects(value.decode() for value in values)
        except UnicodeDecodeError:
            return as_objects(values)
    shapes = {np.shape(value) for value in values}
    if len(shapes) == 1 and np.asarray(values[0]).dtype.kind in "biuf":
        return np.array(values)
    return as_objects(values)
