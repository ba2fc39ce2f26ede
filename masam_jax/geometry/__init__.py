"""The geometry of a loss: how flat it is, and what its surface looks like, encoder by encoder.

Instruments take any ``loss_fn(params, batch) -> scalar``; those of a run are of
`masam_jax.geometry.of_runs`.
"""

from masam_jax.geometry.connectivity import LinearPath, mode_connectivity
from masam_jax.geometry.directions import random_direction
from masam_jax.geometry.similarity import cka
from masam_jax.geometry.surface import LossSurface, load_surface, loss_surface
from masam_jax.geometry.trajectory import TrajectoryPlane, trajectory_plane

__all__ = [
    "LinearPath",
    "LossSurface",
    "TrajectoryPlane",
    "cka",
    "load_surface",
    "loss_surface",
    "mode_connectivity",
    "random_direction",
    "trajectory_plane",
]
