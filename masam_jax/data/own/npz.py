"""``.npz`` files: an array a column."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np

from masam_jax.data.own.columns import Columns

_NAMES = ("class_names", "label_names", "classes")


def read_npz(path: Path) -> Columns:
    """The arrays that have as many rows as most of them.

    Names of the classes may be in ``class_names`` or ``label_names``.

    Raises:
      ValueError: it is damaged, holds Python's objects, or has no array with rows.
    """
    arrays = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                try:
                    found = archive[name]
                    is_bytes = found.dtype.kind == "S"
                    arrays[name] = np.char.decode(found, "utf-8") if is_bytes else found
                except ValueError as error:
                    if "allow_pickle" not in str(error):
                        raise
                    raise ValueError(
                        f"{path}: array {name!r} holds Python's objects; numbers or text are"
                        " accepted: numpy.array(values, dtype=str) makes text"
                    ) from None
    except ValueError as error:
        raise error if str(error).startswith(str(path)) else _damaged(path, error) from error
    # zipfile's errors, by where the first wrong byte is.
    except Exception as error:
        raise _damaged(path, error) from error
    label = next((arrays[name] for name in ("label", "y", "labels") if name in arrays), None)
    lengths = collections.Counter(len(array) for array in arrays.values() if array.ndim)
    if not lengths:
        raise ValueError(f"{path}: it has no array with rows; x_NAME and label are needed")
    rows = len(label) if label is not None and label.ndim else lengths.most_common(1)[0][0]
    kept = {name: array for name, array in arrays.items() if array.ndim and len(array) == rows}
    odd = {
        name: f"has shape {array.shape}, and the data have {rows:,} rows"
        for name, array in arrays.items()
        if name not in kept and name not in _NAMES
    }
    names = next((arrays[name] for name in _NAMES if name in arrays and name not in kept), None)
    classes = {}
    if names is not None and names.ndim == 1:
        texts = tuple(str(name) for name in names.tolist())
        classes = {name: texts for name in ("label", "y", "labels") if name in kept}
    return Columns(str(path), kept, path.parent, classes, left_out=odd)


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path}: it is no whole .npz file: {error or type(error).__name__}")
