"""How alike two representations of the same samples are: linear CKA (Kornblith et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def cka(first: Any, second: Any, *, unbiased: bool = False) -> float:
    r"""Linear centred kernel alignment of two representations.

    $$
    \mathrm{CKA}(X, Y) = \frac{\lVert Y^\top X \rVert_F^2}
      {\lVert X^\top X \rVert_F \, \lVert Y^\top Y \rVert_F}
    $$

    with centred columns: 1 where one is the other turned and scaled, and near 0 where they have
    nothing in common. With few samples for the features it is too large; ``unbiased`` puts the
    unbiased estimator of HSIC (Song et al. 2012) in the place of all three terms, and averages
    these over batches, as Nguyen et al. (2021) do.

    Args:
      first: features ``[n, p]``, or an iterable of those of batches.
      second: features ``[n, q]`` of the same samples, likewise.
      unbiased: whether to correct for few samples; at least 4 in each batch are needed then.

    Raises:
      ValueError: features of other than two axes, of different samples, too few of them, or that
        are all the same.

    References:
      Kornblith et al., "Similarity of Neural Network Representations Revisited", ICML 2019;
      Nguyen, Raghu and Kornblith, "Do Wide and Deep Networks Learn the Same Things?", ICLR 2021.
    """
    x, y = _batches("first", first), _batches("second", second)
    if [len(each) for each in x] != [len(each) for each in y]:
        raise ValueError("first and second are features of different numbers of samples")
    if unbiased:
        if min(map(len, x)) < 4:
            raise ValueError(f"unbiased needs 4 samples in each batch, got {min(map(len, x))}")
        crossed, own, others = (
            np.mean([_unbiased_hsic(a, b) for a, b in zip(left, right, strict=True)])
            for left, right in ((x, y), (x, x), (y, y))
        )
    else:
        left, right = np.concatenate(x), np.concatenate(y)
        left, right = left - left.mean(axis=0), right - right.mean(axis=0)
        crossed, own, others = (
            np.sum(np.square(b.T @ a)) for a, b in ((left, right), (left, left), (right, right))
        )
    if not (own > 0 and others > 0):
        raise ValueError("the features of one of both do not vary between samples")
    return float(crossed / np.sqrt(own * others))


def _batches(name: str, features: Any) -> list[np.ndarray]:
    is_array = hasattr(features, "ndim") or not isinstance(features, Iterable)
    found = [np.asarray(each, np.float64) for each in ([features] if is_array else features)]
    if not found or any(each.ndim != 2 for each in found):
        shapes = [each.shape for each in found]
        raise ValueError(f"{name} must be features [n, p], or batches of them, got shapes {shapes}")
    return found


def _unbiased_hsic(x: np.ndarray, y: np.ndarray) -> float:
    r"""$\mathrm{HSIC}_1$ of linear kernels K and L of n samples, diagonals set to 0.

    $$
    \frac{1}{n (n - 3)} \Big( \mathrm{tr}(KL) + \frac{1^\top K 1 \; 1^\top L 1}{(n - 1)(n - 2)}
      - \frac{2}{n - 2} 1^\top K L 1 \Big)
    $$
    """
    n = len(x)
    k, l = x @ x.T, y @ y.T  # noqa: E741 - the equation's
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    of_sums = k.sum() * l.sum() / ((n - 1) * (n - 2))
    return float((np.sum(k * l) + of_sums - 2 / (n - 2) * (k.sum(0) @ l.sum(0))) / (n * (n - 3)))
