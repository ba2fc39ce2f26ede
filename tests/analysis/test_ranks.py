import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from masam_jax.analysis.ranks import block_ranks, compare_ranks, critical_difference

# Demšar 2006, table 6: AUC of C4.5, with m, with cf, with both, on 14 data sets. One entry, printed
# as 0.975, is given a fourth digit: the paper ranked unrounded numbers and has no tie there.
DEMSAR = np.array(
    [
        (0.763, 0.768, 0.771, 0.798),
        (0.599, 0.591, 0.590, 0.569),
        (0.954, 0.971, 0.968, 0.967),
        (0.628, 0.661, 0.654, 0.657),
        (0.882, 0.888, 0.886, 0.898),
        (0.936, 0.931, 0.916, 0.931),
        (0.661, 0.668, 0.609, 0.685),
        (0.583, 0.583, 0.563, 0.625),
        (0.775, 0.838, 0.866, 0.875),
        (1.000, 1.000, 1.000, 1.000),
        (0.940, 0.962, 0.965, 0.962),
        (0.619, 0.666, 0.614, 0.669),
        (0.972, 0.981, 0.9751, 0.975),
        (0.957, 0.978, 0.946, 0.970),
    ]
).T.tolist()
TABLES = st.integers(3, 6).flatmap(
    lambda k: st.lists(st.lists(st.integers(0, 12), min_size=5, max_size=5), min_size=k, max_size=k)
)


def test_ranks_of_demsars_example():
    ranks = compare_ranks(DEMSAR)
    assert np.round(ranks.mean_ranks, 3).tolist() == [3.143, 2.0, 2.893, 1.964]
    assert ranks.order == [3, 1, 2, 0]
    assert ranks.critical_difference == pytest.approx(1.25, abs=0.005)
    # As in the paper: nothing differs at 0.05; at 0.10, C4.5 (3.143) differs from C4.5+m (2.000)
    # and C4.5+m+cf (1.964), and no other pair does.
    loose = compare_ranks(DEMSAR, level=0.1)
    assert loose.critical_difference == pytest.approx(1.12, abs=0.005)
    assert loose.cliques == ((3, 1, 2), (2, 0))
    assert ranks.cliques == ((3, 1, 2, 0),)


def test_friedman_agrees_with_scipy_and_with_the_formula():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(5, 9)) + np.arange(5)[:, None] / 2
    ranks = compare_ranks(scores.tolist())
    expected = scipy.stats.friedmanchisquare(*scores)
    assert ranks.statistic == pytest.approx(expected.statistic)
    assert ranks.p_value == pytest.approx(expected.pvalue)
    # Demšar's equation for ranks without ties.
    k, n = scores.shape
    squares = math.fsum(rank**2 for rank in ranks.mean_ranks)
    assert ranks.statistic == pytest.approx(
        12 * n / (k * (k + 1)) * (squares - k * (k + 1) ** 2 / 4)
    )


@pytest.mark.parametrize(
    "methods,quantile",
    [
        (2, 1.960),
        (3, 2.343),
        (4, 2.569),
        (5, 2.728),
        (6, 2.850),
        (7, 2.949),
        (8, 3.031),
        (9, 3.102),
        (10, 3.164),
    ],
)
def test_critical_values_are_those_of_demsars_table(methods, quantile):
    scale = math.sqrt(methods * (methods + 1) / (6 * 7))
    assert critical_difference(methods, 7) / scale == pytest.approx(quantile, abs=0.0011)


def test_ties_share_their_average_rank():
    ranks = block_ranks([[0.9, 0.5], [0.9, 0.7], [0.8, 0.5], [0.95, 0.5]])
    assert ranks.tolist() == [[2.5, 2.5, 4.0, 1.0], [3.0, 1.0, 3.0, 3.0]]


def test_float32_rounding_is_a_tie():
    rounded = float(np.float32(0.931))
    assert rounded != 0.931
    assert block_ranks([[0.931], [rounded], [0.932]]).tolist() == [[2.5, 2.5, 1.0]]


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf])
def test_a_diverged_seed_ranks_last(bad):
    assert block_ranks([[0.0], [bad], [0.5], [bad]]).tolist() == [[2.0, 3.5, 1.0, 3.5]]
    assert block_ranks([[bad], [bad], [bad]]).tolist() == [[2.0, 2.0, 2.0]]


def test_methods_that_are_all_equal_are_one_clique_without_evidence():
    ranks = compare_ranks([[0.9, 0.8, 0.7]] * 4)
    assert (ranks.statistic, ranks.p_value) == (0.0, 1.0)
    assert ranks.mean_ranks == (2.5,) * 4
    assert ranks.cliques == ((0, 1, 2, 3),)


def test_without_a_difference_overall_no_pair_differs():
    # Ranks by hand; the second and third methods' means, 4.75 and 1.5, are further apart than CD.
    by_rank = [[4, 2, 4, 2], [5, 5, 5, 4], [1, 1, 3, 1], [3, 3, 2, 3], [2, 4, 1, 5]]
    ranks = compare_ranks([[-rank for rank in method] for method in by_rank])
    assert ranks.mean_ranks == (3.0, 4.75, 1.5, 2.75, 3.0)
    assert ranks.critical_difference < 4.75 - 1.5
    assert 0.05 < ranks.p_value < 0.1
    assert ranks.cliques == ((2, 3, 0, 4, 1),)


def test_methods_far_apart_stand_alone():
    steady = [[float(k)] * 40 for k in (3, 2, 1)]
    ranks = compare_ranks(steady)
    assert ranks.mean_ranks == (1.0, 2.0, 3.0)
    assert ranks.cliques == ()
    close = [[3.0] * 40, [2.0, 1.0] * 20, [1.0, 2.0] * 20]
    assert compare_ranks(close).cliques == ((1, 2),)


@settings(max_examples=40, deadline=None)
@given(TABLES)
def test_cliques_hold_exactly_the_pairs_that_are_not_told_apart(scores):
    ranks = compare_ranks(scores, level=0.3)
    count = len(scores)
    assert sum(ranks.mean_ranks) == pytest.approx(count * (count + 1) / 2)
    joined = {frozenset((a, b)) for c in ranks.cliques for a in c for b in c if a != b}
    for a in range(count):
        for b in range(a):
            distance = abs(ranks.mean_ranks[a] - ranks.mean_ranks[b])
            alike = ranks.p_value >= 0.3 or distance < ranks.critical_difference
            assert (frozenset((a, b)) in joined) == alike
    for one in ranks.cliques:
        assert len(one) > 1
        assert not any(set(one) < set(other) for other in ranks.cliques)


def test_too_little_to_rank_is_refused():
    with pytest.raises(ValueError, match="2 methods and 3 blocks; at least 3 and 3"):
        compare_ranks([[1, 2, 3]] * 2)
    with pytest.raises(ValueError, match="3 methods and 2 blocks"):
        compare_ranks([[1, 2]] * 3)
    with pytest.raises(ValueError, match=r"\[2, 3\] scores"):
        compare_ranks([[1, 2, 3], [1, 2, 3], [1, 2]])
    with pytest.raises(ValueError, match=r"\[\] scores"):
        compare_ranks([])
    with pytest.raises(ValueError, match="level is 1"):
        compare_ranks([[1, 2, 3]] * 3, level=1)
