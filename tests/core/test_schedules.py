"""ρ schedules: Theorem 1 asks that the sum of η ρ converges."""

import math
import re

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


def spike(count):
    """1e-3, but 1 at ten of the first 10,000 steps."""
    return jnp.where((count >= 5001) & (count < 5011), 1.0, 1e-3)


SPIKES = {
    "traced": spike,
    "Python's if": lambda count: 1.0 if 5001 <= count < 5011 else 1e-3,
    "NumPy's table": lambda count: np.where(np.arange(10_001) // 10 == 500, 1.0, 1e-3)[count - 1],
    "mathematics": lambda count: 10.0 ** (0 if math.floor((float(count) - 1) / 10) == 500 else -3),
}


@pytest.mark.parametrize("name", SPIKES)
def test_the_largest_rate_of_all_steps_is_found(name):
    """η_ref is 1, so ρ stays whole at 1e-3 and is ρ (1 + t / T)^-p where the spike is."""
    radius = schedules.summable(0.3, SPIKES[name], transition_steps=10_000, power=1.5)
    assert float(radius(jnp.asarray(5000))) == pytest.approx(0.3)
    for step in (5001, 5010):
        want = 0.3 * (1 + step / 10_000) ** -1.5
        assert float(radius(jnp.asarray(step))) == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize("peak", [0, 6, 7, 8, 20, 21])
def test_every_step_to_the_last_is_asked_whatever_is_asked_at_once(peak, monkeypatch):
    monkeypatch.setattr(schedules, "_CHUNK", 7)
    asked = schedules.summable(
        0.3, lambda count: jnp.where(count == peak, 2.0, 1e-3), transition_steps=20, power=2.0
    )
    # Step 21 is not among the first: its rate may be above the envelope, here 1e-3 (1 + 21/20)^-2.
    reference, rate = (2.0, 2.0) if peak <= 20 else (1e-3, 2.0)
    want = 0.3 * min(1.0, reference * (1 + peak / 20) ** -2.0 / rate)
    assert float(asked(jnp.asarray(peak))) == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize("shape", [(1,), (3,), (11,)])
@pytest.mark.parametrize("make", [jnp.ones, np.ones])
def test_a_schedule_of_more_than_one_number_is_refused(make, shape):
    with pytest.raises(ValueError, match=rf"learning_rate must be .*shape {re.escape(str(shape))}"):
        schedules.summable(0.3, lambda count: make(shape), transition_steps=10)


def test_a_schedule_is_asked_while_something_else_is_traced():
    def radius(count):
        return schedules.summable(0.3, spike, transition_steps=10_000, power=1.5)(count)

    want = 0.3 * 1.5**-1.5
    assert float(jax.jit(radius)(5005)) == pytest.approx(want, rel=1e-3)


def test_what_is_wrong_with_a_schedule_it_says_itself():
    with pytest.raises(KeyError, match="warm-up"):
        schedules.summable(0.3, lambda count: {}["warm-up"])


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
        (
            {"learning_rate": lambda count: jnp.where(count == 777, jnp.nan, 1.0)},
            "learning_rate must be positive somewhere, and finite, .*nan",
        ),
        (
            {"learning_rate": lambda count: jnp.where(count == 777, jnp.inf, 1.0)},
            "learning_rate must be positive somewhere, and finite, .*inf",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        schedules.summable(**{"rho": 0.3, "learning_rate": 1e-3, **arguments})


def test_plain_schedules_are_optax_s():
    for name in set(schedules.__all__) - {"summable"}:
        assert getattr(schedules, name) is getattr(optax, name)
