"""Folders that Hugging Face ``datasets`` saved with ``save_to_disk``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.core.extras import needs
from masam_jax.data.own.columns import Columns, as_objects
from masam_jax.data.own.tables import columns_of_frame

_DICT, _SINGLE = "dataset_dict.json", "state.json"


def is_saved_dataset(folder: Path) -> bool:
    """Whether a folder is a saved ``Dataset``, or a ``DatasetDict`` of several splits."""
    return (folder / _DICT).is_file() or (folder / _SINGLE).is_file()


def read_saved_dataset(folder: Path) -> Columns:
    """All splits, one after the other, with a column ``split`` where there are several.

    Pictures and sound stay as they are stored; classes keep their names.

    Raises:
      ValueError: it is damaged, empty, or its splits have different columns.
      ModuleNotFoundError: the package datasets is missing.
    """
    with needs("a folder of Hugging Face datasets", "huggingface"):
        import datasets

    # A bar for each column that is cast is of no use.
    datasets.disable_progress_bars()
    try:
        loaded = datasets.load_from_disk(str(folder))
        splits = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {"": loaded}
        whole = datasets.concatenate_datasets([_undecoded(each) for each in splits.values()])
        arrays = _columns(whole)
    # Their errors and pyarrow's, by what is damaged.
    except Exception as error:
        words = " ".join(str(error).split())
        raise ValueError(f"{folder}: it cannot be read: {type(error).__name__}: {words}") from error
    if not len(whole):
        raise ValueError(f"{folder}: it has no row")
    if len(splits) > 1:
        names = [name for name, each in splits.items() for _ in range(len(each))]
        arrays.setdefault("split", as_objects(names))
    classes = {
        name: tuple(feature.names)
        for name, feature in whole.features.items()
        if isinstance(feature, datasets.ClassLabel)
    }
    return Columns(str(folder), arrays, folder, classes)


def _undecoded(split: Any) -> Any:
    """A split whose media are what is stored."""
    import datasets

    for name, feature in split.features.items():
        if isinstance(feature, datasets.Image | datasets.Audio):
            split = split.cast_column(name, type(feature)(decode=False))
    return split


def _columns(whole: Any) -> dict[str, np.ndarray]:
    """Its columns, in their order."""
    # Arrays [N, H, W] and beyond are no plain columns of a DataFrame.
    grids = {
        name: np.asarray(whole.select_columns([name]).with_format("numpy")[:][name])
        for name, feature in whole.features.items()
        if type(feature).__name__.startswith("Array")
    }
    frame = whole.remove_columns(list(grids)).to_pandas()
    found = {name: _stored(values) for name, values in columns_of_frame(frame).items()}
    return {name: grids[name] if name in grids else found[name] for name in whole.column_names}


def _stored(values: np.ndarray) -> np.ndarray:
    """Media as their content, or else as their path."""
    if values.dtype != np.object_ or not any(isinstance(value, dict) for value in values):
        return values
    return as_objects(
        (value.get("bytes") or value.get("path")) if isinstance(value, dict) else value
        for value in values
    )
