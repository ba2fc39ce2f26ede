"""``.npz`` files: an array a column."""

from __future__ import annotations

import collections
from pathlib import Path

import numpy as np

from masam_jax.data.own.columns import Columns
from masam_jax.data.own.ragged import instead_of_objects

_LABELS = ("label", "y", "labels")
_NAMES = ("class_names", "label_names", "classes")
# Of arrays that have a value of each row, whatever others have.
_FEATURES = "x_"
_OF_ROWS = (_FEATURES, "mask_", "present_")


def read_npz(path: Path) -> Columns:
    """The arrays that have as many rows as the label, or, without one, as most of them.

    Names of the classes may be in ``class_names`` or ``label_names``.

    Raises:
      ValueError: it is damaged, holds Python's objects, has no array with rows, or features, a mask
        or a ``present_NAME`` of another number of rows.
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
                    why = instead_of_objects(name, archive.zip.read(f"{name}.npy"))
                    raise ValueError(f"{path}: array {name!r} {why}") from None
    except ValueError as error:
        raise error if str(error).startswith(str(path)) else _damaged(path, error) from error
    # zipfile's errors, by where the first wrong byte is.
    except Exception as error:
        raise _damaged(path, error) from error
    label = next((n for n in _LABELS if n in arrays and arrays[n].ndim), None)
    lengths = collections.Counter(len(array) for array in arrays.values() if array.ndim)
    if not lengths:
        raise ValueError(f"{path}: it has no array with rows; x_NAME and label are needed")
    rows = lengths.most_common(1)[0][0] if label is None else len(arrays[label])
    kept = {name: array for name, array in arrays.items() if array.ndim and len(array) == rows}
    others = {n: array for n, array in arrays.items() if n not in kept and n not in _NAMES}
    # Where no name says which arrays are modalities, any table may be one.
    unnamed = not any(name.lower().startswith(_FEATURES) for name in arrays)
    for name, array in others.items():
        if name.lower().startswith(_OF_ROWS) or (array.ndim > 1 and unnamed):
            raise ValueError(
                f"{path}: array {name!r} has shape {array.shape}; {rows:,} rows are needed, as"
                f" {label or next(iter(kept))!r} has"
            )
    odd = {
        name: f"has shape {array.shape}, and the data have {rows:,} rows"
        for name, array in others.items()
    }
    names = next((arrays[name] for name in _NAMES if name in arrays and name not in kept), None)
    classes = {}
    if names is not None and names.ndim == 1:
        texts = tuple(str(name) for name in names.tolist())
        classes = {name: texts for name in _LABELS if name in kept}
    return Columns(str(path), kept, path.parent, classes, left_out=odd, noun="array")


def _damaged(path: Path, error: Exception) -> ValueError:
    return ValueError(f"{path}: it is no whole .npz file: {error or type(error).__name__}")
