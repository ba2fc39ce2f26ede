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


def test_events_hold_the_mean_over_seeds(tmp_path):
    with MetricsLog(tmp_path, 0) as log:
        log.write({"step": 3, "split": "train", "accuracy": [0.25, 0.75], "score": {"a": [1, 3]}})
    (events,) = (tmp_path / "tensorboard").iterdir()
    content = events.read_bytes()
    assert b"train/accuracy" in content
    assert b"train/score/a" in content
    assert np.float32(2.0).tobytes() in content
