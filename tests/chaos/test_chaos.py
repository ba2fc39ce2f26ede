"""A short form of ``python -m tests.chaos``: a run that is killed, and bits turned over."""

import os
import random

import pytest

from tests.chaos.corruptions import CORRUPTIONS, Victims, corrupt, flip
from tests.chaos.kills import SCENARIOS, attack
from tests.chaos.programs import Programs

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that fork")


def test_a_killed_run_and_damaged_checkpoints(tmp_path):
    draw = random.Random(0)
    (scenario,) = (each for each in SCENARIOS if each.name == "train late_fusion")
    with Programs(tmp_path) as programs:
        killed = attack(programs, scenario, tmp_path / "kills", draw, kills=1)
        assert killed.losses == []
        assert killed.survived == killed.tried >= 1
        victims = Victims(programs, tmp_path / "flips")
        for corruption in CORRUPTIONS[:2]:
            found = corrupt(programs, corruption, victims, draw, count=1)
            assert (found.made, found.noticed, found.silent) == (1, 1, [])


def test_one_bit_is_turned_over(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(40))
    flip(path, random.Random(3))
    assert sum(byte.bit_count() for byte in path.read_bytes()) == 1
