"""Schedules of the radius ρ: one under which Theorem 1 holds, and optax's own, re-exported."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax import (
    constant_schedule,
    cosine_decay_schedule,
    cosine_onecycle_schedule,
    exponential_decay,
    join_schedules,
    linear_schedule,
    piecewise_constant_schedule,
    polynomial_schedule,
    warmup_cosine_decay_schedule,
)

from masam_jax.core.specs import check_number, check_radius

__all__ = [
    "constant_schedule",
    "cosine_decay_schedule",
    "cosine_onecycle_schedule",
    "exponential_decay",
    "join_schedules",
    "linear_schedule",
    "piecewise_constant_schedule",
    "polynomial_schedule",
    "summable",
    "warmup_cosine_decay_schedule",
]


def summable(
    rho: float,
    learning_rate: float | optax.Schedule,
    *,
    transition_steps: int = 1000,
    power: float = 1.1,
) -> optax.Schedule:
    r"""The largest radius up to ``rho`` whose products with the learning rate are summable.

    Theorem 1 asks $\sum_t \eta_t \rho_t < \infty$. With the envelope

    $$
    e_t = \eta_{ref} (1 + t / T)^{-p}, \qquad \rho_t = \rho \min(1, e_t / \eta_t)
    $$

    the products stay below $\rho e_t$, whose sum is at most
    $\rho \eta_{ref} (1 + T / (p - 1))$, whatever the learning rate does: where it decays
    faster than the envelope, the radius stays at ``rho``.

    Args:
      rho: the radius at most, ρ ≥ 0.
      learning_rate: η, a number or the schedule that the base optimizer follows. It is asked for
        every step of the first T, at once where JAX can trace it, else one by one.
      transition_steps: T ≥ 1, the steps over which the radius about halves under a constant η.
        $\eta_{ref}$ is the largest learning rate at the steps 0 to T, warm-up included.
      power: the exponent p > 1 of the envelope.

    Returns:
      A schedule from the step count to ρ_t.

    Raises:
      ValueError: an argument is out of range, the schedule gives no single number for a step, or
        of the first T steps no learning rate is positive, or one is not finite.

    Examples:
      >>> radius = summable(0.3, 1e-3, transition_steps=100, power=2.0)
      >>> round(float(radius(0)), 3), round(float(radius(100)), 3)
      (0.3, 0.075)
    """
    check_radius(rho)
    if callable(rho):
        raise ValueError("rho must be a number here: the schedule is what comes out")
    check_number("transition_steps", transition_steps, "[1, inf)")
    check_number("power", power, "(1, inf)")
    if callable(learning_rate):
        rate, reference = learning_rate, _largest(learning_rate, int(transition_steps))
    else:
        rate, reference = constant_schedule(learning_rate), float(learning_rate)
    if not 0 < reference < float("inf"):
        raise ValueError(
            "learning_rate must be positive somewhere, and finite, in the first"
            f" {transition_steps} steps; its largest there is {reference}"
        )

    def schedule(count: chex.Numeric) -> chex.Numeric:
        elapsed = jnp.asarray(count, jnp.result_type(float)) / transition_steps
        envelope = reference * (1 + elapsed) ** -power
        eta = jnp.asarray(rate(count), envelope.dtype)
        # min(1, e / η) without a division by η = 0.
        return rho * envelope / jnp.maximum(envelope, eta)

    return schedule


# Steps that are evaluated at once: memory stays small whatever T is.
_CHUNK = 2**16


def _largest(rate: optax.Schedule, last: int) -> float:
    """The largest of ``rate`` at the steps 0 to ``last``, NaN where any is."""

    def at(step: chex.Numeric) -> jax.Array:
        return jnp.asarray(rate(step), jnp.result_type(float))

    @jax.jit
    def largest_from(first: chex.Numeric) -> jax.Array:
        # The last chunk is filled up with the last step.
        ahead = jnp.minimum(jnp.arange(min(_CHUNK, last + 1)), last - first)
        return jnp.max(jax.vmap(at)(first + ahead), axis=0)

    with jax.ensure_compile_time_eval():
        try:
            found = [largest_from(jnp.asarray(first)) for first in range(0, last + 1, _CHUNK)]
        except Exception:
            # Python's own ifs, tables or mathematics. What else may be wrong is raised here again.
            found = [at(jnp.asarray(step)) for step in range(last + 1)]
    values = np.stack([np.asarray(value) for value in found])
    if values.ndim != 1:
        raise ValueError(
            "learning_rate must be a schedule from a step to one number, got an array of shape"
            f" {values.shape[1:]} for one step"
        )
    return float(values.max())
