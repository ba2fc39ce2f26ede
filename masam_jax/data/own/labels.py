"""The classes or targets of rows, of one column or several."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from masam_jax.data.own.columns import Columns, as_objects, is_one_hot
from masam_jax.data.raw_labels import as_labels, named_labels
from masam_jax.data.raw_targets import as_targets


def read_labels(
    columns: Columns, label: Sequence[str], classes: Sequence[str] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels as `masam_jax.data.raw_labels.as_labels` takes them, and the names of their classes.

    Args:
      columns: of the data.
      label: the column of the classes; several are labels of zero or one.
      classes: names of the classes in their order; as the column has them when None.

    Raises:
      ValueError: a column is missing, a row has no label, or a class is none of ``classes``.
    """
    parts = [columns.require_complete(name, "a label") for name in label]
    values = parts[0] if len(parts) == 1 else np.stack(parts, axis=1)
    if len(parts) == 1 and is_one_hot(values):
        values = values.argmax(axis=1)
    names = classes if len(parts) == 1 else label
    if names is not None and len(parts) == 1 and values.dtype.kind in "biu" and values.ndim == 1:
        texts = values.astype(str)
        # Classes that are numbers need not begin at 0.
        values = texts if set(texts.tolist()) <= set(names) else values
    try:
        return named_labels(values, names)
    except ValueError as error:
        raise ValueError(f"{columns.named(label[0])}: {error}") from error


def new_labels(
    columns: Columns, label: Sequence[str], classes: Sequence[str], multi_label: bool
) -> np.ndarray:
    """int32 ``[n]`` or ``[n, K]``: labels of new rows; names of classes come before numbers.

    Args:
      columns: of the rows.
      label: the column of the classes; several are labels of zero or one.
      classes: all that there are, in their order.
      multi_label: whether a row has K labels of zero or one.

    Raises:
      ValueError: a column is missing, a row has no label, or a class is none of ``classes``.
    """
    name = label[0]
    if len(label) == 1:
        columns = _named(columns, name, classes)
    try:
        if multi_label and len(label) == 1:
            found = columns.require_complete(name, "a label")
        else:
            found, _ = read_labels(columns, label, classes)
        labels = as_labels(found, len(classes))
    except ValueError as error:
        said = str(error)
        at = "" if said.startswith(columns.source) else f"{columns.named(name)}: "
        raise ValueError(f"{at}{said}") from error
    if (labels.ndim > 1) != multi_label:
        wanted = f"{len(classes)} labels" if multi_label else "one class"
        raise ValueError(f"{columns.named(name)}: a row of the run has {wanted}")
    return labels.astype(np.int32)


def _named(columns: Columns, name: str, classes: Sequence[str]) -> Columns:
    """The same, with names for the numbers of classes, where the file or the run has names."""
    values = columns[name]
    if values.dtype.kind not in "iu" or values.ndim > 1:
        return columns
    own = columns.class_names.get(name)
    if own is not None and values.min() >= 0 and values.max() < len(own):
        texts = [own[value] for value in values.tolist()]
    elif all(each.removeprefix("-").isdecimal() for each in classes):
        texts = [str(value) for value in values.tolist()]
    else:
        return columns
    return dataclasses.replace(columns, arrays={**columns.arrays, name: as_objects(texts)})


def read_targets(
    columns: Columns, label: Sequence[str], names: Sequence[str] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Targets float64 ``[N, K]``, and their names.

    Args:
      columns: of the data.
      label: the columns of the targets, or one with K of them.
      names: of the targets; those of the columns when None.

    Raises:
      ValueError: a column is missing, or holds what is no finite number.
    """
    parts = [columns.require_complete(name, "a label") for name in label]
    for name, values in zip(label, parts, strict=True):
        if values.dtype.kind not in "biuf":
            raise ValueError(
                f"{columns.named(name)}: {values[:1].tolist()[0]!r} is no number, which"
                " regression needs"
            )
    values = parts[0] if len(parts) == 1 else np.stack(parts, axis=1)
    if (names is None and values.ndim == 1) or len(parts) > 1:
        names = tuple(label)
    try:
        return as_targets(values, names)
    except ValueError as error:
        raise ValueError(f"{columns.named(label[0])}: {error}") from error
