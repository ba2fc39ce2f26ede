"""The classes of rows, of one column or several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from masam_jax.data.own.columns import Columns, is_one_hot
from masam_jax.data.raw_labels import named_labels


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
        raise ValueError(f"{columns.source}, column {label[0]!r}: {error}") from error
