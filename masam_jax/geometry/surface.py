"""The surface of a loss around parameters: on a line, or on a plane (Li et al. 2018)."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import chex
import jax
import numpy as np
import optax

from masam_jax.core.partition import Labels
from masam_jax.core.random_keys import fold_raw
from masam_jax.core.specs import check_choice, check_sizes
from masam_jax.geometry.derivatives import LossFn
from masam_jax.geometry.directions import random_direction
from masam_jax.geometry.grid import losses_at
from masam_jax.geometry.surface_file import SurfaceFile, surface_digest


@dataclasses.dataclass(frozen=True, eq=False)
class LossSurface:
    """Losses on a grid of one or two axes.

    Attributes:
      axes: float64 ``[n]`` each, multiples of the directions.
      losses: float64 ``[n]`` or ``[n, n']``, by the first axis, then the second.
      centre: the loss at the parameters themselves.
      modality: whose parameters move; None for all.
    """

    axes: tuple[np.ndarray, ...]
    losses: np.ndarray
    centre: float
    modality: str | None = None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Writes an NPZ file, see `load_surface`."""
        file = SurfaceFile(Path(path), None)
        file.write(self.axes, self.losses, self.centre, self.modality)
        return file.path


def load_surface(path: str | os.PathLike[str]) -> LossSurface:
    """Reads what `LossSurface.save` or an unfinished `loss_surface` wrote, NaN where it ends.

    Raises:
      ValueError: no such file, or a damaged one.
    """
    found = SurfaceFile(Path(path), None).read()
    return LossSurface(found.axes, found.losses, found.centre, found.modality)


def loss_surface(
    loss_fn: LossFn,
    params: optax.Params,
    batches: Iterable[Any],
    *,
    labels: Labels | None = None,
    modality: str | None = None,
    key: chex.PRNGKey | None = None,
    directions: Sequence[optax.Params] | None = None,
    dimensions: int = 2,
    points: int = 25,
    extent: float | Sequence[tuple[float, float]] = 1.0,
    chunk: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    path: str | os.PathLike[str] | None = None,
) -> LossSurface:
    r"""The loss at $\theta + a\,\delta + b\,\eta$ over a grid of a and b.

    Directions are Gaussian and filter-normalised, see `random_direction`, unless others are given,
    such as those of `trajectory_plane`. With a modality they move its encoder, and all others stay
    where they are; without, they move everything.

    Args:
      loss_fn: ``(params, batch) -> scalar``.
      params: θ, the centre.
      batches: pytrees, weighted alike.
      labels: whose the parameters are, as ``masam`` takes them; needed with ``modality``.
      modality: whose encoder moves; None for all parameters.
      key: of the directions; a fixed one by default. The first direction of a plane is a line's.
      directions: one or two trees like ``params`` instead.
      dimensions: 1 or 2, where no directions are given.
      points: along each axis; an odd number has the centre among them.
      extent: axes go from minus this to this; or ``(low, high)`` of each axis.
      chunk: points that a device takes at once, see `masam_jax.geometry.grid.losses_at`.
      devices: who share the work; all of this process's by default.
      path: NPZ file that what is done is written to every chunk, and gone on from; the result is
        left in it. None for none.

    Raises:
      ValueError: an option out of range, a modality that is not among the labels, no batch, or a
        file that is damaged or of another surface.

    Examples:
      >>> import jax.numpy as jnp
      >>> bowl = lambda params, batch: jnp.sum(batch * params["w"] ** 2)
      >>> line = {"w": jnp.array([[1.0], [0.0]])}
      >>> found = loss_surface(
      ...     bowl, {"w": jnp.zeros((2, 1))}, [jnp.float32(3)], directions=[line], points=3
      ... )
      >>> found.losses.tolist()
      [3.0, 0.0, 3.0]
    """
    check_sizes(points=points)
    batches = list(batches)
    if not batches:
        raise ValueError("batches are empty; at least one is needed")
    if directions is None:
        check_choice("dimensions", dimensions, (1, 2))
        seed = jax.random.key(0) if key is None else key
        directions = [
            random_direction(params, fold_raw(seed, d), labels=labels, modality=modality)
            for d in range(dimensions)
        ]
    elif len(directions) not in (1, 2):
        raise ValueError(f"directions are {len(directions)}; one or two are needed")
    axes = tuple(np.linspace(low, high, points) for low, high in _ranges(extent, len(directions)))
    coordinates = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))
    # The centre comes first, whether or not it is on the grid.
    coordinates = np.concatenate([np.zeros((1, len(axes))), coordinates])
    found, done = np.full(len(coordinates), np.nan), 0
    file, shape = None, (points,) * len(axes)
    if path is not None:
        file = SurfaceFile(Path(path), surface_digest((params, tuple(directions), batches), axes))
        known = file.known()
        found[: len(known)], done = known, len(known)
    evaluated = losses_at(
        loss_fn, params, directions, coordinates[done:], batches, chunk=chunk, devices=devices
    )
    for losses in evaluated:
        found[done : done + len(losses)] = losses
        done += len(losses)
        if file is not None:
            file.write(axes, found[1:].reshape(shape), float(found[0]), modality, done)
    return LossSurface(axes, found[1:].reshape(shape), float(found[0]), modality)


def _ranges(
    extent: float | Sequence[tuple[float, float]], dimensions: int
) -> list[tuple[float, float]]:
    ranges = [(-extent, extent)] * dimensions if isinstance(extent, int | float) else list(extent)
    if len(ranges) != dimensions or not all(low < high for low, high in ranges):
        raise ValueError(
            f"extent must be a number above 0, or (low, high) of each of {dimensions} axes, got"
            f" {extent!r}"
        )
    return ranges
