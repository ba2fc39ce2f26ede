"""Where several processes stop: at one point, that none has passed."""

import threading
import time

import pytest

from masam_jax.training.common_stop import CommonStop
from tests.training.shared_values import SharedValues


@pytest.mark.parametrize("asking", [(0,), (2,), (0, 1, 2)])
def test_all_stop_at_the_point_that_none_has_passed(asking):
    values, ended = SharedValues(), threading.Event()
    stops = [CommonStop(process, 3) for process in range(3)]
    places = [0, 0, 0]

    def pass_points(process):
        while stops[process].reached() is None:
            places[process] += 1
            time.sleep(0.001 * (process + 1))

    def exchange(process):
        while not ended.wait(0.002):
            stops[process].exchange(values)

    threads = [threading.Thread(target=pass_points, args=(p,)) for p in range(3)]
    talking = [threading.Thread(target=exchange, args=(p,)) for p in range(3)]
    for thread in threads + talking:
        thread.start()
    time.sleep(0.05)
    assert not any(stop.is_reached for stop in stops)
    for process in asking:
        stops[process].ask(15)
    for thread in threads:
        thread.join(5)
    ended.set()
    for thread in talking:
        thread.join(5)
    assert len(set(places)) == 1
    assert places[0] > 0
    assert [stop.reached() for stop in stops] == [15] * 3
    assert all(stop.is_reached and not stop.is_pending for stop in stops)


def test_who_waits_within_a_step_is_not_left_alone():
    """Process 1 is inside step 3, for which it needs process 0, which has passed one point."""
    values, stops = SharedValues(), [CommonStop(process, 2) for process in range(2)]
    for process, points in ((0, 1), (1, 3)):
        for _ in range(points):
            assert stops[process].reached() is None
    stops[0].ask(2)
    for process in (0, 1, 0):
        stops[process].exchange(values)
    assert [stops[0].reached() for _ in range(3)] == [None, None, 2]
    assert stops[1].reached() == 2
