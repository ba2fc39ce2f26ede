"""Standardisation from the training rows alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.data.modality import Modality

Statistics = dict[str, tuple[np.ndarray, np.ndarray]]
"""Modality -> ``(mean, std)``, float32; of those that are standardised."""

# A spread this far below the size of the values is rounding: float32 inputs resolve 6e-8.
_RELATIVE_FLOOR = 1e-6


def feature_statistics(
    features: Mapping[str, Any],
    indices: np.ndarray,
    specs: Mapping[str, Modality] | None = None,
    present: Mapping[str, np.ndarray] | None = None,
) -> Statistics:
    """Mean and standard deviation of each modality over the given (training) rows that have it.

    Vectors ``[N, D]`` get one mean and std for each feature, ``[D]``; anything larger, such as
    images ``[N, H, W, C]``, one for each channel (last axis), ``[C]``; under the rule ``"scalar"``
    all values share one, ``[1]``. Of sequences the real steps alone count. Sums run in float64.
    The std is the population's (ddof 0). A feature that does not vary over the rows has std 1, so
    standardising it gives 0 and not NaN.

    Args:
      features: modality -> array ``[N, ...]``, or a tree of such with a mask.
      indices: training rows, ``[n]``, or ``[S, n]`` for S seeds at once, each with its own rows.
      specs: modality -> its rule of normalisation; by feature when None.
      present: modality -> bool ``[N]``, the rows that have it; all do where it is not named.

    Returns:
      modality -> ``(mean, std)``, float32, each ``[D]``; with ``[S, n]`` indices each ``[S, D]``.
      The numbers of the rule ``"fixed"`` are returned as they are; a modality that is not
      standardised is left out.

    Raises:
      ValueError: for no rows, indices that are not integers, rows out of range, or none of them
        with a value of a modality.
    """
    indices = np.asarray(indices)
    if indices.ndim not in (1, 2) or not np.issubdtype(indices.dtype, np.integer):
        raise ValueError(
            f"indices have shape {indices.shape} and dtype {indices.dtype}; "
            "integers [n] or [S, n] are needed."
        )
    if indices.size == 0:
        raise ValueError("indices are empty; at least one training row is needed.")
    for modality, tree in features.items():
        array = jax.tree.leaves(tree)[0]
        if indices.min() < 0 or indices.max() >= len(array):
            raise ValueError(
                f"indices run from {indices.min()} to {indices.max()}; "
                f"features[{modality!r}] have rows 0..{len(array) - 1}."
            )

    present = present or {}

    def of_rows(rows: np.ndarray) -> Statistics:
        having = {m: rows[present[m][rows]] if m in present else rows for m in features}
        chosen = {m: jax.tree.map(lambda x, m=m: x[having[m]], features[m]) for m in features}
        return streamed_statistics([chosen], specs or dict.fromkeys(features, _BY_FEATURE))

    if indices.ndim == 1:
        return of_rows(indices)
    each = [of_rows(rows) for rows in indices]
    return {m: _stack([one[m] for one in each]) for m in each[0]}


def streamed_statistics(
    parts: Iterable[Mapping[str, Any]], specs: Mapping[str, Modality]
) -> Statistics:
    """`feature_statistics` of rows that come in parts, none of which is kept.

    Args:
      parts: modality -> array ``[n, ...]`` or tree with a mask.
      specs: modality -> its rule of normalisation.

    Raises:
      ValueError: no row has a value of a modality that is standardised by them.
    """
    moments = {m: _Moments() for m, spec in specs.items() if _is_fitted(spec)}
    for part in parts if moments else ():
        for m, running in moments.items():
            running.add(_values(part[m], specs[m]))
    found = {m: running.result(m) for m, running in moments.items()}
    fixed = {
        m: (
            np.array(spec.normalization.mean, np.float32),
            np.array(spec.normalization.std, np.float32),
        )
        for m, spec in specs.items()
        if spec.normalization.rule == "fixed"
    }
    return dict(sorted({**found, **fixed}.items()))


def standardize(
    inputs: Mapping[str, Any],
    statistics: Mapping[str, tuple[np.ndarray | jax.Array, np.ndarray | jax.Array]],
) -> dict[str, Any]:
    """``(x - mean) / std`` of each modality, in float32.

    Works on NumPy arrays and, inside ``jit`` and ``vmap``, on jax arrays. Steps of a sequence that
    are not real become zero. A modality without statistics is only brought to float32, and tokens
    stay as they are.

    Args:
      inputs: modality -> array ``[..., D]`` of any real dtype, ``{"values": …, "mask": …}`` or
        ``{"tokens": …, "mask": …}``.
      statistics: modality -> ``(mean, std)``, each ``[D]`` or ``[1]``, from
        `feature_statistics`.
    """
    return {m: _scaled(tree, statistics.get(m)) for m, tree in inputs.items()}


def _scaled(tree: Any, pair: Any) -> Any:
    if isinstance(tree, Mapping):
        if "tokens" in tree:
            return tree
        values, real = _scaled(tree["values"], pair), tree["mask"][..., None]
        where = jnp.where if isinstance(values, jax.Array) else np.where
        return {**tree, "values": where(real, values, np.float32(0))}
    if pair is None:
        return tree.astype(np.float32)
    mean, std = (x.reshape((1,) * (tree.ndim - x.ndim) + x.shape) for x in pair)
    return (tree.astype(np.float32) - mean) / std


_BY_FEATURE = Modality("vector", ())


def _is_fitted(spec: Modality) -> bool:
    return spec.normalization.is_fitted and spec.kind != "tokens"


def _values(tree: Any, spec: Modality) -> np.ndarray:
    """The values that count, float64 ``[n, D]``, or ``[n, 1]`` under the rule "scalar"."""
    if isinstance(tree, Mapping):
        values = tree["values"][np.asarray(tree["mask"])]
    else:
        values = tree
    values = values.astype(np.float64)
    size = 1 if spec.normalization.rule == "scalar" else values.shape[-1]
    return values.reshape(-1, size)


class _Moments:
    """Mean and sum of squared deviations of rows that come in parts (Chan, Golub, LeVeque 1979)."""

    def __init__(self) -> None:
        self._count = 0
        self._mean: Any = 0.0
        self._squares: Any = 0.0
        self._largest: Any = 0.0

    def add(self, values: np.ndarray) -> None:
        count = len(values)
        if not count:
            return
        mean = values.mean(axis=0)
        total = self._count + count
        delta = mean - self._mean
        self._squares = (
            self._squares
            + np.square(values - mean).sum(axis=0)
            + np.square(delta) * (self._count * count / total)
        )
        self._mean = self._mean + delta * (count / total)
        self._largest = np.maximum(self._largest, np.abs(values).max(axis=0))
        self._count = total

    def result(self, modality: str) -> tuple[np.ndarray, np.ndarray]:
        if not self._count:
            raise ValueError(f"no training sample has a value of {modality!r} to standardise by.")
        mean, std = np.asarray(self._mean), np.sqrt(self._squares / self._count)
        std = np.where(std <= _RELATIVE_FLOOR * self._largest, 1.0, std)
        return mean.astype(np.float32), std.astype(np.float32)


def _stack(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    means, stds = zip(*pairs, strict=True)
    return np.stack(means), np.stack(stds)
