"""ρ schedules: Theorem 1 asks that the sum of η ρ converges."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import schedules

STEPS = 200_000
RATES = {
    "constant": lambda count: jnp.full_like(count, 1e-3, dtype=float),
    "inverse square root": lambda count: 1e-2 / jnp.sqrt(1.0 + count.astype(float)),
    "cosine": optax.cosine_decay_schedule(1e-3, 50_000),
    "warm-up": lambda count: 1e-3 * jnp.minimum(1.0, count.astype(float) / 500.0),
}


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("power", [1.1, 2.0])
def test_products_with_the_learning_rate_are_summable(name, power, x64):
    rate = RATES[name]
    with jax.numpy_dtype_promotion("standard"):
        radius = schedules.summable(0.3, rate, transition_steps=1000, power=power)
        counts = jnp.arange(STEPS)
        rhos, etas = np.asarray(radius(counts)), np.asarray(rate(counts))
    assert rhos.max() <= 0.3
    assert rhos.min() > 0
    products = rhos * etas
    reference = etas[:1001].max()
    envelope = 0.3 * reference * (1 + np.arange(STEPS) / 1000) ** -power
    # Below a summable envelope at every step, and below the sum that the docstring promises.
    assert np.all(products <= envelope * (1 + 1e-12))
    assert products.sum() <= 0.3 * reference * (1 + 1000 / (power - 1))
    # The tail falls by the factor that the power says, where the envelope binds.
    if name == "constant":
        doubling = products[100_000:200_000].sum() / products[50_000:100_000].sum()
        assert doubling == pytest.approx(2 ** (1 - power), rel=0.02)


def test_a_constant_radius_is_not_summable_and_ours_stays_where_it_may(x64):
    with jax.numpy_dtype_promotion("standard"):
        rate = optax.cosine_decay_schedule(1e-3, 100)
        radius = schedules.summable(0.3, rate, transition_steps=100, power=1.5)
        # Cosine decay ends at 0: there the envelope does not bind, and the radius is whole.
        assert float(radius(jnp.asarray(100))) == pytest.approx(0.3)
        assert float(radius(jnp.asarray(0))) == pytest.approx(0.3)
        constant = schedules.summable(0.3, 1e-3, transition_steps=100, power=2.0)
        assert float(constant(jnp.asarray(100))) == pytest.approx(0.075)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": -1.0}, "rho"),
        ({"rho": optax.constant_schedule(1.0)}, "rho must be a number here"),
        ({"power": 1.0}, "power.*> 1, got 1.0"),
        ({"power": float("inf")}, "power"),
        ({"transition_steps": 0}, "transition_steps.*got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        schedules.summable(**{"rho": 0.3, "learning_rate": 1e-3, **arguments})


def test_plain_schedules_are_optax_s():
    for name in set(schedules.__all__) - {"summable"}:
        assert getattr(schedules, name) is getattr(optax, name)
