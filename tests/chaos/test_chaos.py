"""A short form of ``python -m tests.chaos``, and whether its checks can fail."""

import dataclasses
import json
import os
import random
import signal

import pytest

from masam_jax.tuning.best_file import TUNING_FORMAT, sign_best
from tests.chaos.content import content, differences
from tests.chaos.corruptions import CORRUPTIONS, Victims, corrupt, flip, spoil
from tests.chaos.file_events import Event, Moment, draw_moment
from tests.chaos.kills import SCENARIOS, attack, phase
from tests.chaos.programs import Programs

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes that fork")


def test_a_killed_run_and_damaged_checkpoints(tmp_path):
    draw = random.Random(0)
    (scenario,) = (each for each in SCENARIOS if each.name == "train masam")
    with Programs(tmp_path) as programs:
        killed = attack(programs, scenario, tmp_path / "kills", draw, kills=1)
        assert killed.losses == []
        assert killed.survived == killed.tried == sum(killed.phases.values()) >= 1
        victims = Victims(programs, tmp_path / "flips")
        for corruption in CORRUPTIONS[:2]:
            found = corrupt(programs, corruption, victims, draw, count=1)
            assert (found.made, found.noticed, found.silent) == (1, 1, [])


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    with Programs(tmp_path_factory.mktemp("programs")) as programs:
        yield programs


@pytest.fixture
def best(tmp_path):
    path = tmp_path / "tuning" / "best.json"
    path.parent.mkdir()
    path.write_text(json.dumps(sign_best({"format": TUNING_FORMAT, "methods": ["masam"]})))
    return path


def test_a_process_dies_where_it_is_told(programs, best, tmp_path):
    output = tmp_path / "output"
    words = ["show-best", str(best.parent), str(output)]
    programs.timed(words, below=tmp_path)
    assert [(event.operation, event.path) for event in programs.events] == [("open", "output")]
    output.unlink()
    for moment, left in ((Moment(0), None), (Moment(0, calls=3), b""), (Moment(1), b"masam")):
        programs.start(words, tmp_path, moment)
        assert programs.ended() == (0 if left else -signal.SIGKILL)
        assert (output.read_bytes() if output.exists() else None) == left
        output.unlink(missing_ok=True)


def test_damage_that_nobody_notices_is_a_loss(programs, best):
    victims = Victims(programs, best.parents[1])
    (corruption,) = (each for each in CORRUPTIONS if each.name == "best.json, compare @")

    def reword(path, draw):
        """What has its own digest cannot be told from what was written."""
        path.write_text(json.dumps(sign_best({"format": TUNING_FORMAT, "methods": ["sam"]})))
        return "reworded"

    corruption = dataclasses.replace(corruption, damage=reword)
    found = corrupt(programs, corruption, victims, random.Random(0), count=1)
    assert (found.made, found.noticed, found.harmless, len(found.silent)) == (1, 0, 0, 1)


def test_one_bit_is_turned_over_or_one_byte_spoilt(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(40))
    flip(path, random.Random(3))
    assert sum(byte.bit_count() for byte in path.read_bytes()) == 1
    path.write_bytes(b"ab\n" * 9)
    spoil(path, random.Random(3))
    assert path.read_bytes().count(b"\xff") == 1
    assert path.read_bytes().count(b"\n") == 9


def test_what_differs_is_named(tmp_path):
    for name, score, extra in (("a", 0.5, False), ("b", 0.6, True)):
        place = tmp_path / name
        place.mkdir()
        (place / "result.json").write_text(json.dumps({"score": score, "seconds": score}))
        (place / "table.csv").write_text(f"title,seconds\nMASAM,{score}\n")
        (place / ".lock").write_text(name)
        if extra:
            (place / "left.unfinished").write_text("")
    assert differences(content(tmp_path / "a"), content(tmp_path / "a")) == []
    found = differences(content(tmp_path / "b"), content(tmp_path / "a"))
    assert found == ["left.unfinished", "result.json"]


def test_moments_are_of_the_files_that_are_meant():
    events = [
        Event(0.1, "open", ".lock"),
        Event(0.2, "os.rename", "config.json"),
        Event(0.9, "os.rename", "checkpoints/2"),
    ]
    draw = random.Random(0)
    assert {draw_moment(events, 2.0, draw, "checkpoints").event for _ in range(9)} == {2}
    drawn = [draw_moment(events, 2.0, draw) for _ in range(200)]
    assert {moment.event for moment in drawn} == {0, 1, 2}
    assert all(events[m.event].seconds + m.delay <= 2.001 for m in drawn)
    assert any(m.delay > 0.5 for m in drawn)
    assert any(m.calls for m in drawn)
    assert phase(events, later=False) == "writing a checkpoint"
    assert phase(events, later=True) == "steps, evaluation, probes"
    assert phase(events[:2], later=False) == "config.json"
    assert phase([], later=False) == "before anything is written"
