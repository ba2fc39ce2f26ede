import numpy as np
import pytest

from masam_jax.analysis.direct_labels import end_label, spread
from masam_jax.analysis.style import LineStyle


@pytest.mark.parametrize("seed", range(20))
def test_names_stay_apart_in_their_order_and_inside(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 12))
    heights = rng.uniform(0.02, 0.9 / count, count)
    wanted = rng.uniform(0, 1, count) ** rng.integers(1, 6)
    places = np.array(spread(wanted.tolist(), heights.tolist()))
    order = np.argsort(wanted, kind="stable")
    bottoms, tops = (places - heights / 2)[order], (places + heights / 2)[order]
    assert bottoms[0] >= -1e-8
    assert tops[-1] <= 1 + 1e-8
    assert (bottoms[1:] >= tops[:-1] - 1e-8).all()


def test_names_with_room_stay_where_they_belong():
    assert spread([0.2, 0.8, 0.5], [0.1, 0.1, 0.1]) == [0.2, 0.8, 0.5]
    assert spread([], []) == []


def test_a_line_that_ends_early_is_not_led_to():
    style = LineStyle("#000000", "-")
    assert end_label("a", np.array([1.0, 2.0, np.nan]), style)[1:] == (2.0, style, False)
    assert end_label("a", np.array([1.0, 2.0]), style).reaches
    assert np.isnan(end_label("a", np.array([np.nan]), style).end)
