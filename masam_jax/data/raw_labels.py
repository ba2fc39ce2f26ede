"""Labels as people have them, as classes or as zeros and ones."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from masam_jax.core.specs import unknown


def as_labels(labels: Any, num_classes: int) -> np.ndarray:
    """Integer classes ``[N]``, or zeros and ones ``[N, K]``.

    A column ``[N, 1]``, truth values and whole numbers as floats are read as what they plainly
    are. Of zeros and ones ``[N, K]`` as floats it is not plain whether rows have one class or
    several labels.

    Args:
      labels: an array, or lists.
      num_classes: C, at least 2, or K labels, at least 1.

    Raises:
      ValueError: they are anything else; the message says how to make them what is needed.
    """
    if not isinstance(num_classes, int | np.integer) or isinstance(num_classes, bool):
        raise ValueError(f"num_classes is {num_classes!r}; an integer is needed.")
    array = _array(labels)
    if array.ndim == 2 and array.shape[1] == 1 and num_classes > 1:
        array = array[:, 0]
    several = array.ndim == 2
    least = 1 if several else 2
    if num_classes < least:
        raise ValueError(f"num_classes is {num_classes}; at least {least} are needed.")
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(
            f"labels have shape {array.shape}; a non-empty vector [N] of integers, or zeros and"
            " ones [N, K], are needed."
        )
    array = _integers(array)
    low, high = int(array.min()), int(array.max())
    if several and (array.shape[1] != num_classes or low < 0 or high > 1):
        raise ValueError(
            f"labels have shape {array.shape} and run from {low} to {high}; zeros and ones"
            f" [N, {num_classes}] are needed, or classes [N]."
        )
    if not several and (low < 0 or high >= num_classes):
        raise ValueError(
            f"labels run from {low} to {high}; with num_classes={num_classes} "
            f"they must lie in 0..{num_classes - 1}"
            + ("; labels - 1 do." if low >= 1 and high == num_classes else ".")
        )
    return array


def named_labels(labels: Any, names: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Labels of any kind as `as_labels` takes them, and the names of their classes.

    Args:
      labels: classes ``[N]``, text or integers; or zeros and ones ``[N, K]``.
      names: of the classes, or of the K labels; those that there are, in their order, when None.

    Raises:
      ValueError: rows without a label, fewer than two classes, or a class that has no name.

    Examples:
      >>> numbers, names = named_labels(["oak", "elm", "oak"], None)
      >>> numbers.tolist(), names
      ([1, 0, 1], ('elm', 'oak'))
    """
    try:
        array = np.asarray(labels)
    except ValueError:
        array = _array(labels)
    if array.ndim == 2 and array.shape[1] > 1:
        return array, tuple(map(str, range(array.shape[1]) if names is None else names))
    array = array.reshape(-1)
    for row, value in enumerate(array.tolist()):
        if value is None or value == "" or (isinstance(value, float) and value != value):
            raise ValueError(f"labels: row {row} holds {value!r}; leave rows without a label out.")
    if array.dtype.kind not in "US" and not isinstance(array[:1].tolist()[0], str):
        array = _integers(_array(array))
        if names is not None:
            return array, tuple(map(str, names))
    array = array.astype(str) if array.dtype.kind in "OS" else array
    found, numbers = np.unique(array, return_inverse=True)
    if names is not None:
        known = {str(name): number for number, name in enumerate(names)}
        for name in found.tolist():
            if name not in known:
                raise ValueError(f"labels: {unknown('class', name, known)}.")
        order = np.array([known[name] for name in found.tolist()])
        return order[numbers], tuple(known)
    if len(found) < 2:
        raise ValueError(
            f"labels are all {found.tolist()[0]!r}; at least 2 classes are needed."
            if len(found)
            else "labels are empty; at least 2 classes are needed."
        )
    return numbers, tuple(map(str, found.tolist()))


def _array(labels: Any) -> np.ndarray:
    try:
        array = np.asarray(labels)
    except ValueError as error:
        raise ValueError(
            "labels are lists of different lengths; for several labels of a row give zeros and"
            " ones [N, K], with a 1 at each label that it has."
        ) from error
    if array.dtype == np.object_ and array.ndim:
        array = _plain_objects(array)
    if array.dtype.kind in "USO":
        raise ValueError(
            f"labels have dtype {array.dtype}; integers are needed, of names"
            " numpy.unique(labels, return_inverse=True)[1]."
        )
    return array


def _plain_objects(array: np.ndarray) -> np.ndarray:
    """Numbers that came as Python's objects, as from a table, as an array of numbers."""
    values = array.ravel().tolist()
    if any(value is None for value in values):
        row = next(i for i, value in enumerate(values) if value is None) // max(array[:1].size, 1)
        raise ValueError(
            f"labels have dtype object, and row {row} holds None; leave rows without a label out."
        )
    is_plain = all(isinstance(value, Real | np.bool_) for value in values)
    return np.array(array.tolist()) if is_plain else array


def _integers(array: np.ndarray) -> np.ndarray:
    if array.dtype == np.bool_ or np.issubdtype(array.dtype, np.integer):
        return array.astype(np.int64, copy=False)
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"labels have dtype {array.dtype}; integers are needed.")
    if array.ndim == 2 and not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"labels have shape {array.shape} and dtype {array.dtype}, and some are neither 0 nor"
            " 1; of probabilities, labels.argmax(axis=1) is the most likely class."
        )
    if array.ndim == 2:
        raise ValueError(
            f"labels have shape {array.shape} and dtype {array.dtype}, and could be one class or"
            " several labels: give labels.argmax(axis=1) for the one, labels.astype(int) for the"
            " others."
        )
    # Neither NaN nor infinity is equal to itself rounded, or small.
    is_class = (np.rint(array) == array) & (np.abs(array) < 2**31)
    if not is_class.all():
        row = int(np.argmin(is_class))
        raise ValueError(
            f"labels have dtype {array.dtype}, and some are no whole numbers, {array[row]:g} in row"
            f" {row} for one; leave rows without a label out, or say task=regression where they are"
            " numbers to estimate."
        )
    return array.astype(np.int64)
