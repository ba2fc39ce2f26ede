"""Files that are whole or absent, and the metrics log."""

import errno
import json
import os

import numpy as np
import pytest

from masam_jax.config.errors import RunError
from masam_jax.training.storage.atomic_files import plain, read_json, write_json
from masam_jax.training.storage.metrics_log import MetricsLog


def test_json_round_trip(tmp_path):
    content = {"a": np.float32([1, np.nan, np.inf]), "b": {"c": (np.int32(3), "ρ")}}
    write_json(tmp_path / "x.json", content)
    assert read_json(tmp_path / "x.json") == {"a": [1.0, None, None], "b": {"c": [3, "ρ"]}}
    assert os.listdir(tmp_path) == ["x.json"]


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_json(path, {"old": 1})

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as raised:
        write_json(path, {"new": 2})
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == str(path)
    assert read_json(path) == {"old": 1}
    assert os.listdir(tmp_path) == ["x.json"]


@pytest.mark.parametrize("content", ["{", "[1]", "", "\xff"])
def test_damaged_json_is_named(tmp_path, content):
    path = tmp_path / "x.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(RunError, match=r"x\.json is damaged"):
        read_json(path)


def test_plain_keeps_whole_numbers_whole():
    assert plain(np.array([1, 2], np.int32)) == [1, 2]
    assert isinstance(plain(np.int64(1)), int)


def _records(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def test_log_goes_on_from_its_step(tmp_path):
    with MetricsLog(tmp_path, 0) as log:
        for step in (2, 4, 6):
            log.write({"step": step, "split": "train", "accuracy": np.float32([step, 1])})
            log.write({"step": step, "split": "validation", "unimodal_accuracy": {"a": [0.5, 1.0]}})
    undisturbed = (tmp_path / "metrics.jsonl").read_bytes()
    with MetricsLog(tmp_path, 4) as log:
        assert [record["step"] for record in _records(tmp_path)] == [2, 2, 4, 4]
        log.write({"step": 6, "split": "train", "accuracy": np.float32([6, 1])})
        log.write({"step": 6, "split": "validation", "unimodal_accuracy": {"a": [0.5, 1.0]}})
    assert (tmp_path / "metrics.jsonl").read_bytes() == undisturbed


def test_log_drops_a_line_that_was_cut_short(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "split": "train"}\n{"step": 2, "split": "tr')
    with MetricsLog(tmp_path, 10):
        pass
    assert [record["step"] for record in _records(tmp_path)] == [1]


def test_a_new_run_starts_with_an_empty_log(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "split": "train"}\n')
    with MetricsLog(tmp_path, 0):
        pass
    assert _records(tmp_path) == []


def _three_records(tmp_path, damage):
    """The log of a run with step 1, 2 and 3, and one byte of the second line changed."""
    lines = [b'{"step": %d, "split": "train", "accuracy": [0.5]}\n' % step for step in (1, 2, 3)]
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(lines[0] + damage(lines[1]) + lines[2])
    return path, lines


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:1] + b"\xff" + line[2:],
        lambda line: b"[" + line[1:],
        lambda line: line.replace(b"step", b"stop"),
        lambda line: line.replace(b" 2", b' "'),
        lambda line: b"[" * 100_000 + b"\n",
        lambda line: b"7\n",
        lambda line: b"\n",
    ],
)
def test_one_bad_byte_costs_one_line(tmp_path, damage):
    path, lines = _three_records(tmp_path, damage)
    with MetricsLog(tmp_path, 3) as log:
        assert log.damaged == (2,)
        log.write({"step": 4, "split": "train", "accuracy": [0.5]})
    assert [record["step"] for record in _records(tmp_path)] == [1, 3, 4]
    assert path.read_bytes().startswith(lines[0] + lines[2])
    assert (tmp_path / "metrics.damaged").read_bytes() == damage(lines[1])
    with MetricsLog(tmp_path, 4) as log:
        assert log.damaged == ()


def test_a_line_end_that_was_changed_costs_the_two_lines_that_it_joined(tmp_path):
    path, lines = _three_records(tmp_path, lambda line: line)
    path.write_bytes(lines[0] + lines[1][:-1] + b"\x0b" + lines[2] + lines[0].replace(b"1", b"3"))
    with MetricsLog(tmp_path, 3) as log:
        assert log.damaged == (2,)
    assert [record["step"] for record in _records(tmp_path)] == [1, 3]


def test_what_is_computed_again_is_not_called_damaged(tmp_path):
    """After the checkpoint's step, lines are dropped whatever they hold."""
    path, lines = _three_records(tmp_path, lambda line: b"\xff\n")
    with MetricsLog(tmp_path, 1) as log:
        assert log.damaged == ()
    assert path.read_bytes() == lines[0]
    assert not (tmp_path / "metrics.damaged").exists()
