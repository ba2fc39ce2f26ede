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
    from masam_jax.geometry.flatness import relative_flatness as relative_flatness
    from masam_jax.geometry.largest_increase import Sharpness as Sharpness
    from masam_jax.geometry.largest_increase import sharpness as sharpness
    from masam_jax.geometry.losses_of import fusion_loss as fusion_loss
    from masam_jax.geometry.losses_of import total_loss as total_loss
    from masam_jax.geometry.losses_of import unimodal_loss as unimodal_loss
    from masam_jax.geometry.similarity import cka as cka
    from masam_jax.geometry.spectrum import Spectrum as Spectrum
    from masam_jax.geometry.spectrum import hessian_spectrum as hessian_spectrum
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
    "Sharpness": "largest_increase",
    "Spectrum": "spectrum",
    "TrajectoryPlane": "trajectory",
    "cka": "similarity",
    "fusion_loss": "losses_of",
    "hessian_spectrum": "spectrum",
    "hessian_trace": "trace",
    "load_surface": "surface",
    "loss_surface": "surface",
    "mode_connectivity": "connectivity",
    "random_direction": "directions",
    "relative_flatness": "flatness",
    "sharpness": "largest_increase",
    "total_loss": "losses_of",
    "trajectory_plane": "trajectory",
    "unimodal_loss": "losses_of",
}

__all__ = [
    "Estimate",
    "LinearPath",
    "LossSurface",
    "Sharpness",
    "Spectrum",
    "TrajectoryPlane",
    "cka",
    "fusion_loss",
    "hessian_spectrum",
    "hessian_trace",
    "load_surface",
    "loss_surface",
    "mode_connectivity",
    "random_direction",
    "relative_flatness",
    "sharpness",
    "total_loss",
    "trajectory_plane",
    "unimodal_loss",
]


def __getattr__(name: str) -> Any:
    """An instrument, on first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The instruments; modules are imported by their own names."""
    return sorted(__all__)
