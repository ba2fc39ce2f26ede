import json

import numpy as np
import pytest

from masam_jax.analysis.records import MethodRecord, read_directory, read_metrics
from tests.analysis.fake_directories import fake_metrics, fake_result, write_comparison, write_run

LINE = {"step": 1, "split": "train", "accuracy": [0.5]}


def _write_lines(path, *lines):
    path.write_bytes(b"\n".join(lines))
    return path


def test_metrics_that_a_kill_cut_off_are_left_out(tmp_path):
    whole = json.dumps(LINE).encode()
    for tail in (b"", whole[:-4], b"\x00\x00\x00", b"12", "ρ".encode()[:1], b"{"):
        path = _write_lines(tmp_path / "metrics.jsonl", whole, whole, tail)
        assert read_metrics(path) == [LINE, LINE]


def test_a_last_line_without_newline_counts_if_it_is_whole(tmp_path):
    path = _write_lines(tmp_path / "metrics.jsonl", json.dumps(LINE).encode())
    assert read_metrics(path) == [LINE]


@pytest.mark.parametrize("corrupt", [b"{", b"", b"[1]", b'{"step": 1}', b'{"split": "train"}'])
def test_a_corrupt_line_elsewhere_is_named_and_the_others_stay(tmp_path, corrupt):
    whole = json.dumps(LINE).encode()
    path = _write_lines(tmp_path / "metrics.jsonl", whole, corrupt, whole, b"")
    with pytest.warns(UserWarning, match=r"metrics\.jsonl, line 2 is left out: expected a JSON"):
        assert read_metrics(path) == [LINE, LINE]


def test_no_metrics_file_has_no_records(tmp_path):
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def test_curve_orders_steps_and_keeps_what_was_logged_last():
    records = [
        {"step": 2, "split": "train", "accuracy": [0.2, None]},
        {"step": 1, "split": "train", "accuracy": [0.1, 0.1], "score": {"a": [1.0, 2.0]}},
        {"step": 2, "split": "train", "accuracy": [0.3, None]},
        {"step": 2, "split": "validation", "accuracy": [0.9, 0.9]},
    ]
    method = MethodRecord(fake_result("masam", "MASAM", [0.9, 0.9]), None, records)
    curve = method.curve("train", "accuracy")
    np.testing.assert_array_equal(curve.steps, [1, 2])
    np.testing.assert_array_equal(curve.values, [[0.1, 0.1], [0.3, np.nan]])
    np.testing.assert_array_equal(method.curve("train", "score", "a").values, [[1.0, 2.0]])
    assert method.curve("train", "score", "b") is None
    assert method.curve("validation", "score", "a") is None
    assert method.traced_modalities("score") == ["a"]


def test_comparison_keeps_the_order_of_results(tmp_path):
    record = read_directory(write_comparison(tmp_path / "comparison"))
    assert record.is_comparison
    assert [m.title for m in record.methods] == ["Late fusion", "SAM ρ=0.5", "MASAM ρ=12"]
    assert record.baseline is record.methods[0]
    assert record.split == "test"
    assert record.environment["git_commit"] == "0123abc"
    assert record.methods[2].config["method"] == "masam:rho=12"


def test_run_looks_like_a_comparison_of_one(tmp_path):
    result = fake_result("masam", "MASAM", [0.9, 0.91])
    record = read_directory(write_run(tmp_path / "run", result, fake_metrics(result, traced=True)))
    assert not record.is_comparison
    assert record.results["dataset"] == "mfeat"
    assert record.results["modalities"] == ["fou", "pix", "zer"]
    assert record.baseline.title == "MASAM"


def test_data_set_is_found_in_a_section_of_the_configuration(tmp_path):
    result = fake_result("masam", "MASAM", [0.9])
    path = write_run(tmp_path / "run", result, [])
    (path / "config.json").write_text(
        json.dumps({"experiment": {"model": {"width": 3}, "data": {"dataset": "synthetic"}}})
    )
    assert read_directory(path).results["dataset"] == "synthetic"


def test_results_without_test_metrics_are_on_the_validation_split(tmp_path):
    result = fake_result("masam", "MASAM", [0.9]) | {"test": None}
    assert read_directory(write_run(tmp_path / "run", result, [])).split == "validation"


def test_unfinished_directory_is_explained(tmp_path):
    with pytest.raises(ValueError, match=r"neither results\.json .* nor result\.json"):
        read_directory(tmp_path)


def test_damaged_file_is_named(tmp_path):
    path = write_comparison(tmp_path / "comparison")
    (path / "environment.json").write_text("{")
    with pytest.raises(ValueError, match=r"environment\.json is not valid JSON"):
        read_directory(path)
    (path / "environment.json").write_text("[]")
    with pytest.raises(ValueError, match=r"environment\.json holds a JSON list"):
        read_directory(path)


def test_missing_keys_and_baseline_are_named(tmp_path):
    path = write_comparison(tmp_path / "comparison")
    results = json.loads((path / "results.json").read_text())
    (path / "results.json").write_text(json.dumps(results | {"baseline": "sgd"}))
    with pytest.raises(ValueError, match="baseline 'sgd' is not among"):
        read_directory(path)
    del results["methods"][1]["slug"]
    (path / "results.json").write_text(json.dumps(results))
    with pytest.raises(ValueError, match=r"results\.json lacks \['slug'\]"):
        read_directory(path)
