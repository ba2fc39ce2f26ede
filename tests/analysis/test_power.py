"""Power of the paired t-test against published numbers, and an integral of its own."""

import math

import numpy as np
import pytest

from masam_jax.analysis.power import MOST_SEEDS, paired_power, seeds_needed


def _normal_cdf(x):
    return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def _power_by_integration(effect, seeds, critical):
    """P(|T| > c) for T = (Z + δ) / √(V/ν): over the χ² density of V, without a noncentral t."""
    freedom, shift = seeds - 1, effect * math.sqrt(seeds)
    root = np.linspace(1e-9, math.sqrt(freedom) + 12, 40_001)  # of V, so that ν = 1 has no pole
    logarithm = (freedom - 1) * np.log(root) - root**2 / 2
    density = np.exp(logarithm - math.lgamma(freedom / 2) - (freedom / 2 - 1) * math.log(2))
    bound = critical * root / math.sqrt(freedom)
    found = density * (1 - _normal_cdf(bound - shift) + _normal_cdf(-bound - shift))
    return float(np.trapezoid(found, root))


# Critical values of the two-sided test at 5 %, from tables.
@pytest.mark.parametrize(
    ("seeds", "critical"), [(2, 12.7062), (4, 3.18245), (8, 2.36462), (16, 2.13145)]
)
@pytest.mark.parametrize("effect", [0.0, 0.3, 1.0, 2.5])
def test_power_is_the_integral(seeds, critical, effect):
    expected = _power_by_integration(effect, seeds, critical)
    assert paired_power(effect, seeds) == pytest.approx(expected, abs=2e-5)
    assert paired_power(-effect, seeds) == paired_power(effect, seeds)


def test_no_effect_is_found_as_often_as_the_level_says():
    assert paired_power(0.0, 8) == pytest.approx(0.05)
    assert paired_power(0.0, 8, level=0.2) == pytest.approx(0.2)


# G*Power 3.1, t-test of two dependent means, two tails, α = .05.
@pytest.mark.parametrize(
    ("effect", "power", "seeds"),
    [(0.2, 0.8, 199), (0.5, 0.8, 34), (0.8, 0.8, 15), (0.5, 0.95, 54), (0.3, 0.8, 90)],
)
def test_seeds_are_those_of_gpower(effect, power, seeds):
    assert seeds_needed(effect, 1.0, power=power) == seeds
    assert seeds_needed(-10 * effect, 10.0, power=power) == seeds


def test_extremes():
    assert seeds_needed(0.0, 1.0) is None
    assert seeds_needed(0.1, 0.0) == 2
    assert seeds_needed(1e-6, 1.0) is None
    assert seeds_needed(1e3, 1.0) == 2
    assert paired_power(1e3, 8) == pytest.approx(1)
    assert paired_power(0.01, MOST_SEEDS) > 0.8


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: paired_power(0.5, 1), "seeds is 1"),
        (lambda: paired_power(math.nan, 4), "effect is nan"),
        (lambda: paired_power(0.5, 4, level=1), "level is 1; it must lie strictly between"),
        (lambda: seeds_needed(0.1, 1, power=0), "power is 0; it must lie strictly between"),
        (lambda: seeds_needed(0.1, -1), "std is -1"),
    ],
)
def test_bad_arguments_are_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
