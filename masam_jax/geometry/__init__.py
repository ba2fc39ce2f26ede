"""The geometry of a loss: how flat it is, and what its surface looks like, encoder by encoder.

Instruments take any ``loss_fn(params, batch) -> scalar``; those of a run are of
`masam_jax.geometry.of_runs`. Each is imported when first used, since some need the extra
``geometry``, and what measures along training does not.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from masam_jax.geometry.connectivity import LinearPath as LinearPath
    from masam_jax.geometry.connectivity import mode_connectivity as mode_connectivity
    from masam_jax.geometry.directions import random_direction as random_direction
    from masam_jax.geometry.estimate import Estimate as Estimate
    from masam_jax.geometry.similarity import cka as cka
    from masam_jax.geometry.surface import LossSurface as LossSurface
    from masam_jax.geometry.surface import load_surface as load_surface
    from masam_jax.geometry.surface import loss_surface as loss_surface
    from masam_jax.geometry.trace import hessian_trace as hessian_trace
    from masam_jax.geometry.trajectory import TrajectoryPlane as TrajectoryPlane
    from masam_jax.geometry.trajectory import trajectory_plane as trajectory_plane

# Name -> the module of this folder that defines it.
_HOMES = {
    "Estimate": "estimate",
    "LinearPath": "connectivity",
    "LossSurface": "surface",
    "TrajectoryPlane": "trajectory",
    "cka": "similarity",
    "hessian_trace": "trace",
    "load_surface": "surface",
    "loss_surface": "surface",
    "mode_connectivity": "connectivity",
    "random_direction": "directions",
    "trajectory_plane": "trajectory",
}

__all__ = [
    "Estimate",
    "LinearPath",
    "LossSurface",
    "TrajectoryPlane",
    "cka",
    "hessian_trace",
    "load_surface",
    "loss_surface",
    "mode_connectivity",
    "random_direction",
    "trajectory_plane",
]


def __getattr__(name: str) -> Any:
    """An instrument, on first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The instruments; modules are imported by their own names."""
    return sorted(__all__)
