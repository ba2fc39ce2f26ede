"""XTrace: Hutchinson's estimator of what a low-rank approximation leaves of the matrix."""

import jax
import jax.numpy as jnp

from masam_jax.core.extras import needs
from masam_jax.geometry.derivatives import Positions
from masam_jax.geometry.estimate import Estimate, is_reached
from masam_jax.geometry.mean_loss import MeanLoss
from masam_jax.geometry.opaque import opaque, run_by_python

with needs("masam_jax.geometry", "geometry"):
    from matfree import stochtrace

_LEAST_SAMPLES = 8


def xtrace(
    mean_loss: MeanLoss,
    positions: Positions,
    key: jax.Array,
    *,
    relative_error: float,
    max_samples: int,
) -> Estimate:
    """Estimates the trace of the Hessian by some leaves.

    With twice as many samples each time, until the error is small enough. A sample costs two
    products, and four vectors in memory. Where as many unit vectors cost no more, they are taken
    instead, and the trace is exact.

    Raises:
      ValueError: the Hessian is not finite.
    """
    size, dtype = mean_loss.size(positions), mean_loss.dtype

    def multiply(vector: jax.Array) -> jax.Array:
        return mean_loss.product(vector, positions)

    samples = min(_LEAST_SAMPLES, max_samples)
    while True:
        if 2 * samples >= size:
            # Two products are a sample.
            samples, error = -(-size // 2), 0.0
            units = jnp.eye(size, dtype=dtype)
            mean = float(sum(multiply(unit) @ unit for unit in units))
        else:
            estimator = stochtrace.estimator_leave_one_out_mean_and_sem(
                stochtrace.leave_one_out_xtrace(),
                stochtrace.sampler_sphere(jnp.zeros(size, dtype), num=samples),
            )
            with run_by_python():
                mean, error = map(float, estimator(opaque(multiply), key))
        reached = is_reached(mean, error, relative_error)
        if reached or 2 * samples > max_samples:
            return Estimate(
                mean=mean,
                standard_error=error,
                samples=samples,
                reached=reached,
                loss=mean_loss.loss,
                norm=mean_loss.norm(positions),
            )
        samples *= 2
