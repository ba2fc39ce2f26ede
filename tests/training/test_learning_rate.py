"""The learning rate of each step, against formulas in NumPy."""

import numpy as np
import pytest

from masam_jax.config import OptimizationConfig
from masam_jax.training.learning_rate import learning_rate

STEPS, HEIGHT = 20, 0.3


def _expected(schedule, warmup):
    t = np.arange(STEPS)
    share = (t - warmup) / (STEPS - warmup)
    falling = {
        "constant": np.ones(STEPS),
        "linear": 1 - share,
        "step": np.where(10 * (t - warmup) < 7 * (STEPS - warmup), 1, 0.1),
        "cosine": (1 + np.cos(np.pi * share)) / 2,
    }[schedule]
    return HEIGHT * np.where(t < warmup, (t + 1) / max(warmup, 1), falling)


@pytest.mark.parametrize("warmup", [0, 1, 5])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear", "step"])
def test_rises_then_stays_or_falls(schedule, warmup):
    config = OptimizationConfig(learning_rate=HEIGHT, schedule=schedule, warmup=warmup)
    rate = learning_rate(config, STEPS)
    found = [float(rate(t)) if callable(rate) else rate for t in range(STEPS)]
    np.testing.assert_allclose(found, _expected(schedule, warmup), rtol=1e-5, atol=1e-7)


def test_what_never_changes_is_a_number():
    assert learning_rate(OptimizationConfig(learning_rate=HEIGHT), STEPS) == HEIGHT


def test_what_moves_several_times_a_step_follows_the_steps():
    config = OptimizationConfig(learning_rate=HEIGHT, schedule="linear", warmup=4)
    once, thrice = (learning_rate(config, STEPS, updates_per_step=n) for n in (1, 3))
    assert [float(thrice(t)) for t in range(3 * STEPS)] == [
        float(once(t // 3)) for t in range(3 * STEPS)
    ]


def test_a_warmup_that_never_ends_is_refused():
    with pytest.raises(ValueError, match="warmup=20 is out of range: the run has 20 steps"):
        learning_rate(OptimizationConfig(warmup=20), STEPS)
