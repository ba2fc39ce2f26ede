"""Processes that are lost, or tell the others to end; threads stand for processes."""

import threading
import time

import pytest

from masam_jax.training.common_stop import CommonStop
from masam_jax.training.peer_watch import LOST, PeerWatch
from tests.training.shared_values import SharedValues

INTERVAL = 0.02


class _Process:
    """One of three, whose watch notes down the end that it would be."""

    def __init__(self, values, index):
        self.values, self.ends, self.ended = values, [], threading.Event()
        self.watch = PeerWatch(
            values,
            index,
            3,
            limit=0.6,
            stop=CommonStop(index, 3),
            farewell=lambda reason: f"<{reason}>",
            end=self._end,
            interval=INTERVAL,
        )
        self.watch.start()

    def _end(self, text, code):
        self.ends.append((text, code))
        self.watch.close()
        self.ended.set()


@pytest.fixture
def processes():
    values = SharedValues()
    made = [_Process(values, index) for index in range(3)]
    while min(map(int, values.below("alive").values()), default=0) < 2:
        time.sleep(INTERVAL)
    yield made
    for process in made:
        process.watch.close()


def test_nobody_ends_where_all_live(processes):
    assert not processes[0].ended.wait(1.5)
    assert [process.ends for process in processes] == [[], [], []]


def test_a_lost_process_ends_the_others(processes):
    processes[2].watch.close()
    for process in processes[:2]:
        assert process.ended.wait(10)
        ((text, code),) = process.ends
        assert code == LOST == 75
        assert text.startswith("<process 2 (pid ")
        assert " of 3 gave no sign for " in text
    assert processes[2].ends == []


def test_process_0_is_lost(processes):
    processes[0].watch.close()
    processes[0].values.broken = True
    for process in processes[1:]:
        assert process.ended.wait(10)
        assert process.ends[0][0].startswith("<process 0 (pid ")
        assert process.ends[0][1] == LOST


@pytest.mark.parametrize("failing", [0, 1])
def test_who_fails_tells_the_others_why(processes, failing):
    processes[failing].watch.tell("process failed: the disk is full", 1)
    for index, process in enumerate(processes):
        if index != failing:
            assert process.ended.wait(10)
            assert process.ends == [("<process failed: the disk is full>", 1)]
    assert processes[failing].ends == []
