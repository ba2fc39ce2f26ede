"""Bootstrap, effect sizes and equivalence against calculations without SciPy."""

import itertools
import math

import numpy as np
import pytest

from masam_jax.analysis.paired_evidence import (
    PairedEvidence,
    bootstrap_interval,
    effect_size,
    equivalence_test,
    noninferiority_test,
    paired_evidence,
)
from masam_jax.analysis.statistics import paired_test

DIFFERENCES = np.array([0.4, 1.1, 0.2, 2.9, 0.8, 0.3, 1.7, 0.5])


def _normal_quantile(p):
    """By bisection of the error function."""
    low, high = -10.0, 10.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if 0.5 * (1 + math.erf(middle / 2**0.5)) < p else (low, middle)
    return low


def _bca(values, level):
    """Efron's formula over draws of its own."""
    rng = np.random.default_rng(7)
    means = rng.choice(values, (100_000, values.size)).mean(axis=1)
    below = (means < values.mean()).mean() + (means == values.mean()).mean() / 2
    bias = _normal_quantile(below)
    left_out = (values.sum() - values) / (values.size - 1)
    apart = left_out.mean() - left_out
    acceleration = (apart**3).sum() / (6 * (apart**2).sum() ** 1.5)
    ends = []
    for p in ((1 - level) / 2, (1 + level) / 2):
        z = bias + _normal_quantile(p)
        corrected = bias + z / (1 - acceleration * z)
        ends.append(np.quantile(means, 0.5 * (1 + math.erf(corrected / 2**0.5))))
    return tuple(ends)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_bca_is_efrons(level):
    expected = _bca(DIFFERENCES, level)
    found = bootstrap_interval(DIFFERENCES, level=level, resamples=100_000)
    assert found == pytest.approx(expected, abs=0.02)
    # Skewed to the right, which the plain percentiles do not know.
    plain = bootstrap_interval(DIFFERENCES, level=level, method="percentile", resamples=100_000)
    assert found[0] > plain[0]
    assert found[1] > plain[1]


def test_percentiles_are_those_of_all_resamples():
    values = DIFFERENCES[:5]
    every = np.array([np.mean(each) for each in itertools.product(values, repeat=5)])
    found = bootstrap_interval(values, level=0.8, method="percentile", resamples=100_000)
    assert found == pytest.approx(tuple(np.quantile(every, (0.1, 0.9))), abs=0.02)


def test_the_same_differences_give_the_same_interval():
    assert bootstrap_interval(DIFFERENCES) == bootstrap_interval(list(DIFFERENCES))
    assert bootstrap_interval(DIFFERENCES) != bootstrap_interval(DIFFERENCES, seed=1)
    assert bootstrap_interval([0.25, 0.25]) == (0.25, 0.25)


# Hedges 1981, table 1: the exact factor for some degrees of freedom.
@pytest.mark.parametrize(
    ("freedom", "factor"), [(2, 0.5642), (3, 0.7236), (4, 0.7979), (10, 0.9227), (20, 0.9619)]
)
def test_hedges_factor_is_the_published_one(freedom, factor):
    values = np.linspace(0, 1, freedom + 1)
    found = effect_size(values)
    assert found.d_z == pytest.approx(values.mean() / values.std(ddof=1))
    assert found.hedges / found.d_z == pytest.approx(factor, abs=5e-5)


def test_two_seeds_say_nothing_of_the_size():
    assert effect_size([0.1, 0.2]).hedges == 0
    assert effect_size([0.1, 0.1]) is None


def _t_survival(t, freedom):
    """P(T > t), by integration of the density up to where nothing is left."""
    x = np.linspace(t, t + 400, 400_001)
    constant = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    density = np.exp(constant) / math.sqrt(freedom * math.pi)
    return float(np.trapezoid(density * (1 + x**2 / freedom) ** (-(freedom + 1) / 2), x))


@pytest.mark.parametrize("shift", [-0.8, 0.0, 0.6])
def test_equivalence_is_two_one_sided_tests(shift):
    values = DIFFERENCES - DIFFERENCES.mean() + shift
    error = values.std(ddof=1) / math.sqrt(values.size)
    above = _t_survival((values.mean() + 1) / error, values.size - 1)
    below = _t_survival((1 - values.mean()) / error, values.size - 1)
    assert equivalence_test(values, 1.0).p_value == pytest.approx(max(above, below), rel=1e-4)


@pytest.mark.parametrize("shift", [-0.8, 0.0, 0.6])
def test_noninferiority_is_the_lower_one_of_the_two(shift):
    values = DIFFERENCES - DIFFERENCES.mean() + shift
    error = values.std(ddof=1) / math.sqrt(values.size)
    above = _t_survival((values.mean() + 1) / error, values.size - 1)
    assert noninferiority_test(values, 1.0) == pytest.approx(above, rel=1e-4)
    # What is far better is at least as good, and not equal.
    assert noninferiority_test(values + 10, 1.0) < 1e-6 < equivalence_test(values + 10, 1.0).p_value


def test_noninferiority_needs_spread_and_a_margin():
    assert noninferiority_test([0.1, 0.1], 1.0) is None
    assert noninferiority_test([0.0, 0.0], 1.0) == 0
    with pytest.raises(ValueError, match=r"margin is 0\.0; a number above 0"):
        noninferiority_test([1.0, 2.0], 0.0)


@pytest.mark.parametrize("margin", [0.2, 0.5, 0.61, 0.62, 1.0, 2.0])
def test_equal_is_where_the_90_percent_interval_lies_within(margin):
    values = DIFFERENCES - DIFFERENCES.mean()
    low, high = paired_test(values.tolist(), [0.0] * values.size).interval(0.9)
    within = -margin < low and high < margin
    assert (equivalence_test(values, margin).p_value < 0.05) == within


def test_a_large_p_value_is_no_equality():
    values = [0.90, 0.94, 0.86, 0.99]
    baseline = [0.91, 0.90, 0.91, 0.93]
    assert paired_test(values, baseline).p_value > 0.5
    assert paired_evidence(values, baseline).equivalence.p_value > 0.3


def test_all_of_it_is_of_the_same_differences():
    baseline = [0.5] * DIFFERENCES.size
    found = paired_evidence((0.5 + DIFFERENCES / 100).tolist(), baseline, margin=0.02)
    scaled = bootstrap_interval(DIFFERENCES)
    # Resamples that tie with the mean fall to either side of it by rounding.
    assert found.interval == pytest.approx((scaled[0] / 100, scaled[1] / 100), abs=3e-4)
    assert found.effect.d_z == pytest.approx(effect_size(DIFFERENCES).d_z)
    assert found.equivalence.p_value == pytest.approx(equivalence_test(DIFFERENCES, 2.0).p_value)
    assert found.equivalence.margin == 0.02
    assert found.seeds_needed == 4


def test_what_is_not_defined_is_none():
    assert paired_evidence([0.5], [0.4]) == PairedEvidence()
    assert paired_evidence([0.5, None], [0.4, 0.4]) == PairedEvidence()
    rounded = np.array([0.7, 0.9], np.float32).astype(float).tolist()
    same = paired_evidence(rounded, [0.7, 0.9])
    assert same == PairedEvidence((0.0, 0.0), None, None, 2)
    with pytest.raises(ValueError, match="values has 2 seeds and baseline has 1"):
        paired_evidence([0.5, 0.6], [0.4])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: bootstrap_interval([1.0]), r"differences has shape \(1,\)"),
        (lambda: bootstrap_interval([1.0, math.nan]), "not finite"),
        (lambda: bootstrap_interval([1.0, 2.0], level=1.0), "level is 1.0"),
        (lambda: equivalence_test([1.0, 2.0], 0.0), "margin is 0.0; a number above 0"),
    ],
)
def test_bad_arguments_are_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()
