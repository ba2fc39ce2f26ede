import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from masam_jax.analysis.statistics import PairedTest, Summary, holm, paired_test, summarize

ACCURACIES = st.lists(st.integers(0, 1000), min_size=2, max_size=12)


def test_summary_uses_the_sample_standard_deviation():
    summary = summarize([0.90, 0.94, 0.92])
    assert summary.mean == pytest.approx(0.92)
    assert summary.std == pytest.approx(0.02)
    assert summary.count == 3


def test_one_seed_has_no_spread():
    assert summarize([0.9]) == Summary(0.9, None, 1)


@pytest.mark.parametrize("bad", [math.nan, math.inf, None])
def test_a_diverged_seed_leaves_no_mean(bad):
    assert summarize([0.9, bad]) == Summary(None, None, 2)
    assert paired_test([0.9, bad], [0.8, 0.8]) == PairedTest(None, None, None, None, None, 2)


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="values has shape"):
        summarize([])


def test_paired_test_agrees_with_scipy_without_ties():
    rng = np.random.default_rng(3)
    baseline = rng.normal(0.93, 0.01, 16)
    values = baseline + rng.normal(0.004, 0.004, 16)
    test = paired_test(values.tolist(), baseline.tolist())
    expected = scipy.stats.ttest_rel(values, baseline)
    assert test.mean_difference == pytest.approx((values - baseline).mean())
    assert test.std_difference == pytest.approx((values - baseline).std(ddof=1))
    assert test.t_statistic == pytest.approx(expected.statistic)
    assert test.p_value == pytest.approx(expected.pvalue)
    assert test.wilcoxon_p_value == pytest.approx(scipy.stats.wilcoxon(values, baseline).pvalue)
    low, high = expected.confidence_interval(0.9)
    assert test.interval(0.9) == pytest.approx((low, high))


def test_float32_rounding_does_not_hide_ties():
    thousandths = np.array([931, 925, 940, 919, 933, 928, 937, 930])
    change = np.array([3, -3, 0, 5, 3, 8, -1, 3])
    exact = scipy.stats.wilcoxon(change)
    rounded = paired_test(
        ((thousandths + change) / 1000).astype(np.float32).tolist(),
        (thousandths / 1000).astype(np.float32).tolist(),
    )
    assert rounded.wilcoxon_p_value == pytest.approx(exact.pvalue, rel=1e-12)


def test_identical_samples_are_not_different():
    assert paired_test([0.9, 0.8], [0.9, 0.8]) == PairedTest(0.0, 0.0, 0.0, 1.0, 1.0, 2)


def test_one_pair_has_a_difference_and_nothing_else():
    test = paired_test([0.5], [0.25])
    assert test == PairedTest(0.25, None, None, None, None, 1)
    assert test.interval() is None


def test_equal_differences_have_no_t_test():
    test = paired_test([0.91, 0.81], [0.90, 0.80])
    assert test.mean_difference == pytest.approx(0.01)
    assert test.p_value is None
    assert test.t_statistic is None
    assert test.wilcoxon_p_value == pytest.approx(0.5)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="values has 2 seeds and baseline has 3"):
        paired_test([0.1, 0.2], [0.1, 0.2, 0.3])


@pytest.mark.parametrize("level", [0, 1, -0.1])
def test_interval_checks_its_level(level):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        paired_test([0.1, 0.3], [0.1, 0.2]).interval(level)


@given(ACCURACIES, st.data())
def test_tests_are_symmetric_and_never_nan(values, data):
    baseline = data.draw(st.lists(st.integers(0, 1000), min_size=len(values), max_size=len(values)))
    one = paired_test([v / 1000 for v in values], [b / 1000 for b in baseline])
    other = paired_test([b / 1000 for b in baseline], [v / 1000 for v in values])
    assert one.p_value == pytest.approx(other.p_value)
    assert one.wilcoxon_p_value == pytest.approx(other.wilcoxon_p_value)
    assert one.mean_difference == pytest.approx(-other.mean_difference)
    for p in (one.p_value, one.wilcoxon_p_value):
        assert p is None or 0 <= p <= 1


def test_holm_steps_down_and_stays_below_one():
    assert holm([0.04, 0.01, 0.03, 0.6]) == pytest.approx([0.09, 0.04, 0.09, 0.6])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_value_and_keeps_their_order(p_values):
    adjusted = holm(p_values)
    assert all(p <= a <= 1 for p, a in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()
