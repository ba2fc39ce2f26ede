"""Linear mode connectivity: the loss between two trained networks (Frankle et al. 2020)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np
import optax

from masam_jax.core.partition import Labels
from masam_jax.core.specs import check_number
from masam_jax.geometry.derivatives import LossFn
from masam_jax.geometry.directions import chosen_leaves
from masam_jax.geometry.grid import losses_at


@dataclasses.dataclass(frozen=True, eq=False)
class LinearPath:
    r"""A loss along $(1 - a)\,\theta_1 + a\,\theta_2$.

    Attributes:
      steps: float64 ``[n]``, a from 0 to 1.
      losses: float64 ``[n]``.
    """

    steps: np.ndarray
    losses: np.ndarray

    @property
    def barrier(self) -> float:
        """The highest loss on the way, less the mean of both ends; ≥ 0, 0 where nothing is higher.

        The linear interpolation instability of Frankle et al.; of an error rate as of a loss.
        """
        ends = (self.losses[0] + self.losses[-1]) / 2
        return float(max(self.losses.max() - ends, 0.0))


def mode_connectivity(
    loss_fn: LossFn,
    first: optax.Params,
    second: optax.Params,
    batches: Iterable[Any],
    *,
    labels: Labels | None = None,
    modality: str | None = None,
    points: int = 25,
    chunk: int | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> LinearPath:
    r"""The loss on the line between two parameters.

    Networks that permute their units compute the same and lie far apart: a barrier between runs of
    different initial parameters says little, one between runs that share theirs does.

    Args:
      loss_fn: ``(params, batch) -> scalar``, such as an error rate too.
      first: $\theta_1$.
      second: $\theta_2$, of the same structure and shapes.
      batches: pytrees, weighted alike.
      labels: whose the parameters are, as ``masam`` takes them; needed with ``modality``.
      modality: whose encoder alone goes from the first's to the second's; None for everything.
      points: n, both ends included.
      chunk: see `masam_jax.geometry.grid.losses_at`.
      devices: likewise.

    Raises:
      ValueError: parameters of different structures or shapes, fewer than two points, no batch, or
        a modality that is not among the labels.

    References:
      Frankle et al., "Linear Mode Connectivity and the Lottery Ticket Hypothesis", ICML 2020.
    """
    check_number("points", points, "[2, inf)", whole=True)
    batches = list(batches)
    if not batches:
        raise ValueError("batches are empty; at least one is needed")
    if _shapes(first) != _shapes(second):
        raise ValueError("first and second are parameters of different networks")
    leaves, structure = jax.tree.flatten(first)
    chosen = chosen_leaves(first, labels, modality)
    others = jax.tree.leaves(second)
    along = [
        other - leaf if taken else 0 * leaf
        for leaf, other, taken in zip(leaves, others, chosen, strict=True)
    ]
    steps = np.linspace(0.0, 1.0, points)
    direction = jax.tree.unflatten(structure, along)
    evaluated = losses_at(
        loss_fn, first, [direction], steps[:, None], batches, chunk=chunk, devices=devices
    )
    return LinearPath(steps, np.concatenate(list(evaluated)))


def _shapes(params: optax.Params) -> Any:
    leaves, structure = jax.tree.flatten(params)
    return structure, [np.shape(leaf) for leaf in leaves]
