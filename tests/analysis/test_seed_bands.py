"""Bands of curves: quantiles, by an independent computation in float64."""

import math

import numpy as np
import pytest

from masam_jax.analysis.seed_bands import MANY_SEEDS, seed_band


def _quantile(row, q):
    """Linear interpolation between the sorted values, as its definition says."""
    ordered = sorted(row)
    place = q * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@pytest.mark.parametrize("seeds", [1, 2, 3, MANY_SEEDS - 1, MANY_SEEDS, 16, 101])
def test_bands_are_quantiles_of_the_finite_seeds(seeds):
    rng = np.random.default_rng(seeds)
    values = rng.lognormal(size=(20, seeds))
    values[rng.random(values.shape) < 0.2] = np.nan
    values[3, 0] = np.inf
    tail = 0.1 if seeds >= 10 else 0.0
    band = seed_band(values)
    for t, row in enumerate(values):
        finite = [v for v in row.tolist() if math.isfinite(v)]
        if not finite:
            assert all(math.isnan(part[t]) for part in band)
            continue
        assert band.low[t] == pytest.approx(_quantile(finite, tail), rel=1e-12)
        assert band.high[t] == pytest.approx(_quantile(finite, 1 - tail), rel=1e-12)
        assert band.middle[t] == pytest.approx(math.fsum(finite) / len(finite), rel=1e-12)


@pytest.mark.parametrize("seeds", [2, 5, 16])
@pytest.mark.parametrize("positive", [False, True])
def test_a_band_never_leaves_the_data(seeds, positive):
    rng = np.random.default_rng(0)
    # Mostly 0, with large exceptions: where mean minus standard deviation is far below 0.
    values = rng.lognormal(sigma=3, size=(50, seeds)) * (rng.random((50, seeds)) < 0.3)
    band = seed_band(values, positive=positive)
    for part in band:
        drawn = np.isfinite(part)
        assert (part[drawn] >= values.min(axis=1)[drawn]).all()
        assert (part[drawn] <= values.max(axis=1)[drawn]).all()
    if positive:
        least = np.where(values > 0, values, np.inf).min(axis=1)
        drawn = np.isfinite(band.low)
        assert (band.low[drawn] >= least[drawn]).all()
        assert np.isfinite(band.high).tolist() == drawn.tolist()


def test_on_a_logarithmic_axis_the_median_ends_where_it_is_0():
    values = np.array([[1.0, 2.0, 4.0], [0.0, 2.0, 4.0], [0.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    low, middle, high = seed_band(values, positive=True)
    np.testing.assert_array_equal(low, [1.0, 2.0, 4.0, np.nan])
    np.testing.assert_array_equal(middle, [2.0, 2.0, np.nan, np.nan])
    np.testing.assert_array_equal(high, [4.0, 4.0, 4.0, np.nan])


def test_no_step_is_no_band():
    assert all(part.size == 0 for part in seed_band(np.zeros((0, 4))))
