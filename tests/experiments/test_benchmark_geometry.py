"""The two ways to a Hessian trace give the same numbers, and are counted as XLA counts them."""

import pytest

from experiments.benchmark_geometry import GeometrySettings, measure_ways
from tests.geometry.dense import loss_fn, make_batches, make_params


def test_both_ways_agree():
    ours, plain, difference = measure_ways(loss_fn, make_params(), make_batches(), turns=1)
    assert difference < 1e-3
    assert 0 < ours.flops < plain.flops
    assert plain.ratio == 1
    assert min(ours.seconds, plain.seconds, ours.ratio) > 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"turns": 0}, "turns must be at least 1, got 0"),
        ({"samples": 33}, "must divide samples=33"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        GeometrySettings(**wrong)
