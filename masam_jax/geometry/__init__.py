"""The geometry of a loss: how flat it is, and what its surface looks like, encoder by encoder."""

from masam_jax.geometry.estimate import Estimate
from masam_jax.geometry.flatness import relative_flatness
from masam_jax.geometry.largest_increase import Sharpness, sharpness
from masam_jax.geometry.losses_of import fusion_loss, total_loss, unimodal_loss
from masam_jax.geometry.spectrum import Spectrum, hessian_spectrum
from masam_jax.geometry.trace import hessian_trace

__all__ = [
    "Estimate",
    "Sharpness",
    "Spectrum",
    "fusion_loss",
    "hessian_spectrum",
    "hessian_trace",
    "relative_flatness",
    "sharpness",
    "total_loss",
    "unimodal_loss",
]
