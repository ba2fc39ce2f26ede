"""The plane in which parameters moved most while they were trained (Li et al. 2018, section 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np
import optax

from masam_jax.core.partition import Labels
from masam_jax.geometry.directions import chosen_leaves


class TrajectoryPlane(NamedTuple):
    """A plane through the last parameters of a trajectory.

    Attributes:
      directions: two orthonormal trees like the parameters, zero where nothing was to move.
      coordinates: float64 ``[T, 2]``, where the trajectory's projection is; the last is ``(0, 0)``.
      explained: float64[2], the share of the trajectory's variance along each direction. What both
        leave out, the plane does not show.
    """

    directions: tuple[optax.Params, optax.Params]
    coordinates: np.ndarray
    explained: np.ndarray

    def extent(self, margin: float = 0.2) -> tuple[tuple[float, float], tuple[float, float]]:
        """``(low, high)`` of both axes, around the trajectory with a share of it on each side."""
        low, high = self.coordinates.min(axis=0), self.coordinates.max(axis=0)
        space = margin * np.maximum(high - low, 1e-12)
        (a, b), (c, d) = (low - space).tolist(), (high + space).tolist()
        return (a, c), (b, d)


def trajectory_plane(
    trajectory: Sequence[optax.Params],
    *,
    labels: Labels | None = None,
    modality: str | None = None,
) -> TrajectoryPlane:
    r"""The two principal components of the parameters along training.

    Of the rows $\theta_t - \theta_T$, centred, as the authors' release has it.

    Args:
      trajectory: parameters $\theta_0 \ldots \theta_T$ in order, at least three.
      labels: whose the parameters are, as ``masam`` takes them; needed with ``modality``.
      modality: whose encoder's parameters are looked at; None for all.

    Raises:
      ValueError: too few parameters, others that are not like the first, parameters that do not
        move in two directions, or a modality that is not among the labels.
    """
    if len(trajectory) < 3:
        raise ValueError(f"a plane needs at least 3 points of a trajectory, got {len(trajectory)}")
    if len({jax.tree.structure(params) for params in trajectory}) > 1:
        raise ValueError("the parameters of a trajectory must have one structure")
    chosen = chosen_leaves(trajectory[0], labels, modality)
    rows = [_moved(trajectory, leaf) for leaf, taken in enumerate(chosen) if taken]
    # Parameters are many and points few: the components come of their inner products [T, T].
    centred = [leaf - leaf.mean(axis=0) for leaf in rows]
    values, vectors = np.linalg.eigh(sum(leaf @ leaf.T for leaf in centred))
    values, vectors = values[::-1], vectors[:, ::-1]
    if not values[1] > 1e-12 * values[0]:
        raise ValueError("the parameters of the trajectory lie on a line, or do not move")
    scales = vectors[:, :2] / np.sqrt(values[:2])
    components = [leaf.T @ scales for leaf in centred]
    coordinates = sum(leaf @ part for leaf, part in zip(rows, components, strict=True))
    directions = (
        _like(trajectory[-1], chosen, [part[:, 0] for part in components]),
        _like(trajectory[-1], chosen, [part[:, 1] for part in components]),
    )
    return TrajectoryPlane(directions, coordinates, values[:2] / values.clip(0).sum())


def _like(params: optax.Params, chosen: tuple[bool, ...], parts: list[np.ndarray]) -> optax.Params:
    """A tree like the parameters of flat arrays for the chosen leaves, zeros for all others."""
    leaves, structure = jax.tree.flatten(params)
    given = iter(parts)
    filled = [
        next(given).reshape(np.shape(leaf)).astype(leaf.dtype) if taken else np.zeros_like(leaf)
        for leaf, taken in zip(leaves, chosen, strict=True)
    ]
    return jax.tree.unflatten(structure, filled)


def _moved(trajectory: Sequence[optax.Params], leaf: int) -> np.ndarray:
    """How far a leaf is from its last value, float64 ``[T, size]``."""
    values = [
        np.asarray(jax.device_get(jax.tree.leaves(params)[leaf]), np.float64).ravel()
        for params in trajectory
    ]
    return np.stack(values) - values[-1]
