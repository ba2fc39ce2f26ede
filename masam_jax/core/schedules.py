"""Schedules of the radius ρ: one under which Theorem 1 holds, and optax's own, re-exported."""

import chex
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
      learning_rate: η, a number or the schedule that the base optimizer follows.
      transition_steps: T ≥ 1, the steps over which the radius about halves under a constant η.
        $\eta_{ref}$ is the largest learning rate of the first T steps, warm-up included.
      power: the exponent p > 1 of the envelope.

    Returns:
      A schedule from the step count to ρ_t.

    Raises:
      ValueError: an argument is out of range, or no learning rate of the first T steps is positive.

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
    rate = learning_rate if callable(learning_rate) else constant_schedule(learning_rate)
    probes = np.unique(np.linspace(0, transition_steps, 257).astype(np.int32))
    reference = max(float(rate(jnp.asarray(step))) for step in probes)
    if not 0 < reference < float("inf"):
        raise ValueError(
            f"learning_rate must be positive and finite somewhere in the first {transition_steps}"
            f" steps, found at most {reference}"
        )

    def schedule(count: chex.Numeric) -> chex.Numeric:
        elapsed = jnp.asarray(count, jnp.result_type(float)) / transition_steps
        envelope = reference * (1 + elapsed) ** -power
        eta = jnp.asarray(rate(count), envelope.dtype)
        # min(1, e / η) without a division by η = 0.
        return rho * envelope / jnp.maximum(envelope, eta)

    return schedule
