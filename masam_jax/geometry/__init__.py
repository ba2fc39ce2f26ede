"""The geometry of a loss: how flat it is, and what its surface looks like, encoder by encoder."""

from masam_jax.geometry.estimate import Estimate
from masam_jax.geometry.trace import hessian_trace

__all__ = [
    "Estimate",
    "hessian_trace",
]
