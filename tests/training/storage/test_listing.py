"""Every run is listed, whatever lies beside it."""

import json
import re

import pytest

from masam_jax.config import Experiment, as_json
from masam_jax.training.storage.listing import list_runs
from masam_jax.training.storage.run_directory import FORMAT

CONFIG = {"format": FORMAT, "kind": "train", "method": "masam", **as_json(Experiment())}
RESULT = {"title": "MASAM", "metric": "accuracy", "test": {"accuracy": [0.5, 0.75]}}


def _write(path, config, result=None):
    path.mkdir(parents=True)
    text = config if isinstance(config, bytes) else json.dumps(config).encode()
    (path / "config.json").write_bytes(text)
    if result is not None:
        (path / "result.json").write_text(json.dumps(result))


def _without(name):
    return {key: value for key, value in CONFIG.items() if key != name}


HOSTILE = {
    "foreign": ({"model_type": "bert"}, "its config.json has format None, expected"),
    "older": ({**CONFIG, "format": "masam_jax run 1"}, "has format 'masam_jax run 1'"),
    "empty": (b"", "config.json is damaged"),
    "half": (json.dumps(CONFIG).encode()[:200], "config.json is damaged"),
    "bytes": (b"\xff\xfe\x00", "config.json is damaged"),
    "a list": ([1], "it holds a list, not an object"),
    "nested": (b"[" * 10_000 + b"]" * 10_000, "it is nested too deeply"),
    "nested inside": (
        b'{"format": "%s", "kind": "train", "x": %s}'
        % (FORMAT.encode(), b"[" * 10_000 + b"]" * 10_000),
        "it is nested too deeply",
    ),
    "a number": (b'{"format": ' + b"9" * 5000 + b"}", "config.json is damaged"),
    "no kind": (_without("kind"), "kind is None, expected 'train' or 'compare'"),
    "a long kind": ({**CONFIG, "kind": "x" * 10**6}, "kind is 'xxxxxx"),
    "no method": (_without("method"), "method is None, expected specifications"),
    "methods": ({**CONFIG, "kind": "compare", "methods": 7}, "methods is 7, expected specif"),
    "numbers": ({**CONFIG, "kind": "compare", "methods": [7]}, r"methods is \[7\], expected"),
    "unknown method": ({**CONFIG, "method": "masm"}, "unknown method 'masm'"),
    "a path": ({**CONFIG, "method": "../../etc"}, "unknown method '../../etc'"),
    "no seeds": (_without("seeds"), "not the configuration of an experiment: 'seeds'"),
    "a section": ({**CONFIG, "optimization": 3}, "config.json is damaged"),
    "a size": ({**CONFIG, "optimization": {"steps": "many"}}, "config.json is damaged|do not fit"),
    "being removed": ({"format": FORMAT, "kind": "removed"}, "was being overwritten when"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_damaged_configuration_is_listed_with_its_reason(tmp_path, name):
    config, reason = HOSTILE[name]
    _write(tmp_path / "a", CONFIG, RESULT)
    _write(tmp_path / "b", config)
    _write(tmp_path / "c", CONFIG)
    first, second, third = list_runs(tmp_path)
    assert (first.status, first.score) == ("finished", ("MASAM", "accuracy", [0.5, 0.75]))
    assert (second.path, second.status, second.methods) == (tmp_path / "b", "damaged", ())
    assert str(tmp_path / "b") in second.reason
    assert len(second.reason) < 500
    assert re.search(reason, second.reason), second.reason
    assert (third.status, third.reason) == ("interrupted", "")


def test_a_directory_in_the_place_of_a_configuration(tmp_path):
    (tmp_path / "a" / "config.json").mkdir(parents=True)
    (found,) = list_runs(tmp_path)
    assert found.status == "damaged"
    assert "its config.json is no file" in found.reason


@pytest.mark.parametrize(
    "result",
    [[1], {}, {**RESULT, "metric": 3}, {**RESULT, "test": 3}, {**RESULT, "test": {"accuracy": []}}],
)
def test_a_damaged_result_is_listed_with_its_reason(tmp_path, result):
    _write(tmp_path / "a", CONFIG, result)
    (found,) = list_runs(tmp_path)
    assert (found.status, found.methods, found.score) == ("damaged", ("masam",), None)
    assert "result.json is damaged" in found.reason


def test_damaged_splits(tmp_path):
    optimization = {**CONFIG["optimization"], "epochs": 3}
    _write(tmp_path / "a", {**CONFIG, "optimization": optimization})
    (tmp_path / "a" / "splits.json").write_text('{"sizes": []}')
    (found,) = list_runs(tmp_path)
    assert (found.status, "splits.json is damaged" in found.reason) == ("damaged", True)
