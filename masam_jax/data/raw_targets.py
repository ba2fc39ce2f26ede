"""Targets of regression as people have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def as_targets(labels: Any, names: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Targets float64 ``[N, K]``, and their K names.

    Args:
      labels: numbers ``[N]`` or ``[N, K]``.
      names: of the K targets; "target", or their numbers where there are several, when None.

    Raises:
      ValueError: no rows, values that are no finite numbers, or another number of names.

    Examples:
      >>> targets, names = as_targets([1.5, 2, 4], None)
      >>> targets.tolist(), names
      ([[1.5], [2.0], [4.0]], ('target',))
    """
    try:
        given = np.asarray(labels)
        array = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"labels are no numbers, which regression needs: {error}") from error
    if given.dtype.kind not in "biufO" or array.ndim not in (1, 2) or not array.size:
        raise ValueError(
            f"labels have dtype {given.dtype} and shape {given.shape}; regression needs numbers [N]"
            " or [N, K]."
        )
    array = array.reshape(len(array), -1)
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise ValueError(
            f"labels: row {row} holds {array[row][~np.isfinite(array[row])][0]}; leave rows without"
            " a target out."
        )
    count = array.shape[1]
    if names is None:
        names = ("target",) if count == 1 else tuple(map(str, range(count)))
    if len(names) != count:
        raise ValueError(f"class_names are {len(names)}, and there are {count} targets.")
    return array, tuple(map(str, names))
