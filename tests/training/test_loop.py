"""A method's run: what it writes, and that an interruption leaves no trace in the numbers."""

import io
import json
import signal

import jax
import numpy as np
import pytest
from rich.console import Console

from masam_jax.methods import parse_method
from masam_jax.training.interrupt import InterruptedRun, InterruptRequest
from masam_jax.training.loop import train_method
from masam_jax.training.predictions import Predictors
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import abstract_state
from masam_jax.training.storage.checkpoints import Checkpoints
from masam_jax.training.storage.sealed_files import read_sealed_json
from masam_jax.training.task import Task


class _InterruptAt(InterruptRequest):
    """Asks to stop once ``steps`` steps were asked about."""

    def __init__(self, steps):
        self._left = steps

    @property
    def signal_number(self):
        self._left -= 1
        return signal.SIGINT if self._left < 0 else None


def _run(problem, spec, directory, interrupt=None, output=None):
    directory.mkdir(exist_ok=True)
    task = Task(problem, parse_method(spec))
    return train_method(
        task,
        directory,
        {"method": spec},
        predict=Predictors(problem).of(task),
        progress=ProgressReport(Console(file=output or io.StringIO())),
        interrupt=interrupt or InterruptRequest(),
    )


def _numbers(result):
    return {name: value for name, value in result.items() if "second" not in name}


def _state(problem, spec, directory):
    with Checkpoints(directory / "checkpoints", {"method": spec}) as checkpoints:
        state, progress = checkpoints.restore(abstract_state(Task(problem, parse_method(spec))))
    return jax.device_get(state), progress.step


def _records(directory, split):
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    return [r for r in map(json.loads, lines) if r["split"] == split]


def test_what_a_run_writes(make_problem, tmp_path):
    problem = make_problem(2, steps=7)
    output = io.StringIO()
    result = _run(problem, "masam:rho=1", tmp_path, output=output)
    assert result == read_sealed_json(tmp_path / "result.json")
    assert result["spec"] == "masam:rho=1"
    assert (result["seeds"], result["steps"]) == ([0, 1], 7)
    for split in ("test", "validation"):
        assert set(result[split]) == {
            *("accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "weighted_f1"),
            *("fusion_loss", "unimodal_accuracy"),
        }
        assert len(result[split]["accuracy"]) == 2
    train = _records(tmp_path, "train")
    # Every second step, and the last.
    assert [record["step"] for record in train] == [2, 4, 6, 7]
    assert [r["step"] for r in _records(tmp_path, "validation")] == [2, 4, 6, 7]
    names = {"total_loss", "fusion_loss", "accuracy", "unimodal_loss", "dominant_share"}
    assert names | {"score", "alignment", "decay", "ma_loss"} <= set(train[0])
    shares = np.array([train[-1]["dominant_share"][m] for m in problem.modalities])
    np.testing.assert_allclose(shares.sum(0), 1, rtol=1e-6)
    np.testing.assert_allclose(
        train[0]["total_loss"],
        np.sum([train[0]["fusion_loss"], *train[0]["unimodal_loss"].values()], axis=0),
        rtol=1e-5,
    )
    assert _records(tmp_path, "validation")[-1]["accuracy"] == result["validation"]["accuracy"]
    assert "step 7/7" in output.getvalue()
    assert "dominant m" in output.getvalue()


def test_what_was_taken_for_what_is_counted_on_the_reported_split(make_problem, tmp_path):
    problem = make_problem(2, steps=7)
    result = _run(problem, "late_fusion", tmp_path)
    content = json.loads((tmp_path / "confusion.json").read_text())
    assert (content["split"], content["seeds"]) == ("test", [0, 1])
    counts = np.array(content["counts"])
    rows = problem.indices("test")
    for seed, table in enumerate(counts):
        labels = np.asarray(problem.data.labels)[rows[seed]]
        expected = [int((labels == k).sum()) for k in range(problem.data.num_classes)]
        assert table.sum(axis=1).tolist() == expected
        accuracy = np.trace(table) / table.sum()
        assert accuracy == pytest.approx(result["test"]["accuracy"][seed], abs=1e-12)


def test_while_tuning_the_test_samples_are_not_counted(make_problem, tmp_path):
    problem = make_problem(1, steps=2, report_split="validation")
    result = _run(problem, "late_fusion", tmp_path)
    assert "test" not in result
    content = json.loads((tmp_path / "confusion.json").read_text())
    assert content["split"] == "validation"
    assert np.sum(content["counts"]) == problem.indices("validation").size


@pytest.mark.parametrize("spec", ["late_fusion", "masam:rho=2,select=random"])
@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("stop", [1, 5])
def test_an_interrupted_run_ends_with_the_same_numbers(
    make_problem, tmp_path, monkeypatch, spec, seeds, stop
):
    """The whole one in stretches of two steps; the other step by step until it is interrupted."""
    problem = make_problem(seeds, steps=8)
    expected = _run(problem, spec, tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(SeedStep, "longest", 1)
        with pytest.raises(InterruptedRun) as raised:
            _run(problem, spec, tmp_path / "parts", _InterruptAt(stop - 1))
    assert raised.value.step == stop
    assert not (tmp_path / "parts" / "result.json").exists()
    result = _run(problem, spec, tmp_path / "parts")
    assert _numbers(result) == _numbers(expected)
    metrics = [(tmp_path / name / "metrics.jsonl").read_bytes() for name in ("whole", "parts")]
    assert metrics[0] == metrics[1]
    ours, our_step = _state(problem, spec, tmp_path / "parts")
    theirs, their_step = _state(problem, spec, tmp_path / "whole")
    assert our_step == their_step == 8
    assert jax.tree.all(jax.tree.map(np.array_equal, ours, theirs))


def test_a_run_killed_before_its_result_was_written(make_problem, tmp_path):
    problem = make_problem(2)
    expected = _run(problem, "late_fusion", tmp_path)
    (tmp_path / "result.json").unlink()
    metrics = (tmp_path / "metrics.jsonl").read_bytes()
    result = _run(problem, "late_fusion", tmp_path)
    assert _numbers(result) == _numbers(expected)
    assert (tmp_path / "metrics.jsonl").read_bytes() == metrics


@pytest.mark.parametrize("seeds", [1, 2])
def test_early_stopping_ends_the_run(make_problem, tmp_path, seeds):
    problem = make_problem(seeds, steps=400, patience=3, report="best")
    result = _run(problem, "late_fusion", tmp_path)
    assert result["steps"] < 400
    accuracies = np.array([r["accuracy"] for r in _records(tmp_path, "validation")])
    steps = [r["step"] for r in _records(tmp_path, "validation")]
    for seed in range(seeds):
        best = int(np.argmax(accuracies[:, seed]))
        assert result["best_step"][seed] == steps[best]
        assert result["validation"]["accuracy"][seed] == pytest.approx(accuracies[best, seed])
        assert len(steps) - 1 - best >= 3


def test_tuning_leaves_the_test_samples_alone(make_problem, tmp_path):
    result = _run(make_problem(1, report_split="validation"), "late_fusion", tmp_path)
    assert "test" not in result
    assert len(result["validation"]["accuracy"]) == 1


def test_fusion_only_leaves_the_unimodal_heads_as_they_were(make_problem, tmp_path):
    problem = make_problem(2, steps=6)
    _run(problem, "fusion_only", tmp_path)
    state, _ = _state(problem, "fusion_only", tmp_path)
    initial = jax.device_get(problem.initial("concat")[0])
    # Weight decay shrinks them by (1 - 5e-3 * 1e-4) each step, and nothing else moves them.
    for new, old in zip(
        jax.tree.leaves(state.params["heads"]), jax.tree.leaves(initial["heads"]), strict=True
    ):
        np.testing.assert_allclose(new, old, rtol=1e-4)
    moved = jax.tree.map(
        lambda new, old: not np.array_equal(new, old), state.params["fusion"], initial["fusion"]
    )
    assert any(jax.tree.leaves(moved))


def test_a_bad_byte_of_the_log_is_reported_on_resuming(make_problem, tmp_path):
    problem = make_problem(1, steps=8)
    expected = _run(problem, "late_fusion", tmp_path / "whole")
    with pytest.raises(InterruptedRun):
        _run(problem, "late_fusion", tmp_path / "parts", _InterruptAt(5))
    log = tmp_path / "parts" / "metrics.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([lines[0].replace(b"{", b"\xfb"), *lines[1:]]))
    output = io.StringIO()
    result = _run(problem, "late_fusion", tmp_path / "parts", output=output)
    assert "metrics.jsonl was damaged in line 1;" in output.getvalue().replace("\n", " ")
    assert _numbers(result) == _numbers(expected)
    whole = (tmp_path / "whole" / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    assert log.read_bytes() == b"".join(whole[1:])
