"""The command line, from its words to its files and exit codes."""

import asyncio
import csv
import errno
import json
import logging
import os
import re
import subprocess
import sys
import threading
from contextlib import nullcontext

import jax
import pytest

from masam_jax.analysis.records import read_directory
from masam_jax.cli import command_line as cli
from masam_jax.predict import load_predictor
from masam_jax.training.storage import checkpoints
from masam_jax.training.storage.sealed_files import read_sealed_json
from tests.cli.small_commands import SMALL, end_of, flat
from tests.quick_compilation import child_environment


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """A finished comparison of three methods, with plots and report."""
    path = tmp_path_factory.mktemp("runs") / "small"
    methods = ["late_fusion", "fusion_only", "masam:rho=1"]
    code = cli.main(["compare", "--methods", *methods, *SMALL, "--output", str(path)])
    assert code == 0
    return path


def test_comparison_directory(comparison):
    names = {path.name for path in comparison.iterdir()}
    files = {"config.json", "environment.json", "splits.json", "results.json", "table.md"}
    assert files | {"table.csv", "plots", "report.html", "methods", "statistics.npz"} <= names
    results = json.loads((comparison / "results.json").read_text())
    assert [m["spec"] for m in results["methods"]] == ["late_fusion", "fusion_only", "masam:rho=1"]
    assert results["baseline"] == "late_fusion"
    assert results["seeds"] == [0, 1]
    for method in results["methods"]:
        place = comparison / "methods" / method["slug"]
        assert read_sealed_json(place / "result.json") == method
        assert (place / "metrics.jsonl").stat().st_size > 0
        assert list((place / "tensorboard").iterdir())
    environment = json.loads((comparison / "environment.json").read_text())
    assert environment["packages"]["jax"] == jax.__version__
    assert "compare" in environment["command"]
    assert environment["jax_settings"]["enable_x64"] is False
    assert environment["xla_flags"] == os.environ["XLA_FLAGS"]
    splits = json.loads((comparison / "splits.json").read_text())
    assert set(splits["seeds"]) == {"0", "1"}
    assert (comparison / "report.html").read_text().count("<table") >= 2
    assert list((comparison / "plots").glob("*.png"))


def test_finished_comparison_resumes_to_the_same_table(comparison, capsys):
    before = (comparison / "results.json").read_text()
    words = ["compare", "--methods", "late_fusion", "fusion_only", "masam:rho=1", *SMALL]
    assert cli.main([*words, "--output", str(comparison), "--resume", "--no-plots"]) == 0
    assert (comparison / "results.json").read_text() == before
    output = capsys.readouterr().out
    assert "MASAM ρ=1" in output
    assert "step 6/6" not in output
    environment = json.loads((comparison / "environment.json").read_text())
    assert len(environment["resumed"]) == 1


def test_inference_agrees_with_the_result(comparison):
    results = json.loads((comparison / "results.json").read_text())["methods"]
    prediction = load_predictor(comparison, method=results[2]["spec"]).of_dataset()
    accuracy = (prediction.by_seed.argmax(-1) == prediction.labels).mean(-1)
    assert accuracy.tolist() == pytest.approx(results[2]["test"]["accuracy"])


def test_evaluate_agrees_with_the_result(comparison, tmp_path, capsys):
    path = tmp_path / "predictions.csv"
    assert cli.main(["evaluate", str(comparison), "--predictions", str(path)]) == 0
    assert "late fusion" in capsys.readouterr().out
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 2 * 40
    results = json.loads((comparison / "results.json").read_text())
    for method in results["methods"]:
        for seed, accuracy in zip(method["seeds"], method["test"]["accuracy"], strict=True):
            mine = [r for r in rows if r["method"] == method["spec"] and r["seed"] == str(seed)]
            hits = [r["label"] == r["prediction"] for r in mine]
            assert sum(hits) / len(hits) == pytest.approx(accuracy)
            head = [r["label"] == r["m0"] for r in mine]
            assert sum(head) / len(head) == pytest.approx(
                method["test"]["unimodal_accuracy"]["m0"][seed]
            )


@pytest.mark.parametrize("which", ["last", "best"])
def test_evaluate_one_method_of_a_comparison(comparison, capsys, which):
    place = comparison / "methods" / "masam_rho-1"
    words = ["evaluate", str(place), "--split", "validation", "--checkpoint", which]
    assert cli.main(words) == 0
    output = capsys.readouterr().out
    result = json.loads((place / "result.json").read_text())
    lines = (place / "metrics.jsonl").read_text().splitlines()
    records = [r for r in map(json.loads, lines) if r["split"] == "validation"]
    if which == "last":
        means = result["validation"]["accuracy"]
    else:
        means = [max(r["accuracy"][seed] for r in records) for seed in range(2)]
    assert f"{100 * sum(means) / 2:.2f} ±" in output


def test_train_and_list(comparison, tmp_path, capsys):
    path = tmp_path / "single"
    words = ["train", "--method", "sam:rho=0.1", *SMALL, "--output", str(path), "--no-plots"]
    assert cli.main(words) == 0
    assert not (path / "report.html").exists()
    assert json.loads((path / "result.json").read_text())["title"] == "SAM ρ=0.1"
    (path / "result.json").unlink()
    capsys.readouterr()
    assert cli.main(["runs", str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert "sam:rho=0.1" in output
    assert "interrupted" in output
    assert "6/6" in output
    assert cli.main(["runs", str(comparison.parent)]) == 0
    output = capsys.readouterr().out
    assert "finished" in output
    assert "18/18" in output


def test_tuning_reports_validation(tmp_path, capsys):
    words = ["compare", "--methods", "late_fusion", "masam:rho=1", *SMALL, "--seed-offset", "50"]
    path = tmp_path / "tuning"
    code = cli.main([*words, "--report-split", "validation", "--output", str(path)])
    assert code == 0
    assert "Validation accuracy" in capsys.readouterr().out
    results = json.loads((path / "results.json").read_text())
    assert results["seeds"] == [50, 51]
    assert all("test" not in method for method in results["methods"])
    assert (path / "report.html").is_file()


@pytest.mark.parametrize(
    "words, message",
    [
        (["train", "--method", "masm"], "unknown method 'masm'; did you mean 'masam'"),
        (["train", "--method", "masam:roh=1"], "did you mean 'rho'"),
        (["train", "--method", "masam:rho=-1"], "rho=-1.0 is out of range"),
        (["train", "--dataset", "mfeet"], "did you mean 'mfeat'"),
        (["train", "--method", "masam:select=pax"], "'pax'"),
        (["train", "--batch-size", "101"], "--batch-size is 101"),
        (["train", "--train-size", "5000"], "--train-size is 5000"),
        (["train", "--resume"], "--resume needs --output"),
        (["compare", "--methods", "masam", "masam:rho=0.3"], "given twice"),
        (["compare", "--methods", "masam", "--baseline", "sam"], "baseline 'sam' is not among"),
        (["compare", "--methods", "@nowhere"], "'@nowhere': there is no nowhere"),
        (["compare", "--methods", "al"], "unknown method 'al'"),
        (["tune", "--methods", "masm"], "unknown method 'masm'; did you mean 'masam'"),
        (["tune", "--methods", "masam", "masam"], "given twice"),
        (["tune", "--dataset", "mfeet"], "did you mean 'mfeat'"),
        (["tune", "--resume"], "--resume needs --output"),
        (["evaluate", "nowhere"], "nowhere is no directory"),
        (["runs", "nowhere"], "nowhere is no directory"),
        (["train", "--seeds", "99999999999"], "--seeds 99999999999 is out of range"),
        (["train", "--seed-offset", "99999999999"], "--seed-offset 99999999999 is out of range"),
        (["train", "--threads", "99999999999"], "--threads 99999999999 is out of range"),
        (["train", "--depth", "99999999999"], "--depth 99999999999 is out of range"),
        (
            ["train", "--width", "99999999"],
            "fewer --seeds, a smaller --width or --depth, or a --mesh",
        ),
        (["tune", "--tune-seeds", "99999999999"], "--tune-seeds 99999999999 is out of range"),
        (["train", "--output", "/proc/x"], "the run cannot be written to /proc/x"),
        (["compare", "--output", "/dev/null"], "/dev/null is a file; a directory is needed"),
        (["tune", "--output", "/dev/null/x"], "the run cannot be written to /dev/null/x"),
        (["train", "--weights", "nope=x.safetensors"], "--weights: unknown modality 'nope'"),
        (["train", "--weights", "pix=x.safetensors"], "--weights name 'pix', whose encoder is the"),
        (["train", "--steps", "3", "--epochs", "2"], "--steps 3 and --epochs 2 exclude each other"),
        (["tune", "--steps", "3", "--epochs=2"], "--steps 3 and --epochs 2 exclude each other"),
    ],
)
def test_mistakes_are_one_line(capsys, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, errors = end_of(capsys, *words)
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.iterdir()), "a refused run leaves nothing behind"


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--lr", "3"],
        ["train", "--steps", "0"],
        ["train", "--steps", "many"],
        ["train", "--report", "first"],
        ["tune", "--trials", "0"],
        ["tune", "--tune-seeds", "many"],
        ["tune", "--seeds", "2"],
        ["tune", "--report-split", "test"],
        ["trian"],
    ],
)
def test_unknown_options_and_values_are_refused(capsys, words):
    code, errors = end_of(capsys, *words)
    assert code == 2
    assert words[1 if len(words) > 1 else 0].lstrip("-") in errors


def test_existing_run_is_kept(comparison, capsys):
    code, errors = end_of(capsys, "train", *SMALL, "--output", str(comparison))
    assert code == 2
    assert "--resume goes on with it, --overwrite deletes it" in errors
    assert (comparison / "results.json").exists()


def test_resume_with_other_options_names_them(comparison, capsys):
    words = ["compare", "--methods", "late_fusion", *SMALL, "--learning-rate", "0.1"]
    code, errors = end_of(capsys, *words, "--output", str(comparison), "--resume")
    assert code == 2
    assert "optimization.learning_rate: 0.005 -> 0.1" in errors
    assert "methods:" in errors


def test_full_disk_is_named_and_can_be_resumed(tmp_path, capsys, monkeypatch):
    path = tmp_path / "full"
    words = ["train", "--method", "late_fusion", *SMALL, "--no-plots", "--output", str(path)]
    replace = os.replace

    def full(source, target):
        if str(target).endswith("result.json"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    code, errors = end_of(capsys, *words)
    assert code == 1
    assert "no space left on device" in errors
    assert "result.json" in errors
    assert "Traceback" not in errors
    assert errors.strip().endswith("--resume")
    monkeypatch.undo()
    with jax.numpy_dtype_promotion("standard"):
        assert cli.main([*words, "--resume"]) == 0
    assert (path / "result.json").is_file()


@pytest.mark.parametrize("place", ["no/dir/p.csv", "there", "/proc/p.csv"])
def test_predictions_that_cannot_be_written_are_refused_first(
    comparison, tmp_path, capsys, monkeypatch, place
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    code, errors = end_of(capsys, "evaluate", str(comparison), "--predictions", place)
    assert code == 2
    assert f"masam evaluate: {place} " in errors
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_weights_that_do_not_fit_leave_nothing_behind(tmp_path, capsys):
    """The corrected command is not refused."""
    path = tmp_path / "run"
    images = ["--dataset", "synthetic", "--encoders", "m0=resnet18", "--output", str(path)]
    code, errors = end_of(capsys, "train", *images, "--weights", f"m0={tmp_path}/x.safetensors")
    assert code == 2
    assert errors.startswith("masam train: ")
    assert not path.exists()


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize(
    "words",
    [
        ["datasets", "info", "crema_d"],
        ["train", "--help"],
        ["train", "--help-all"],
        ["datasets", "list"],
    ],
)
def test_a_closed_pipe_is_no_error(words):
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-m", "masam_jax", *words],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=child_environment(),
        check=False,
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_full_disk_is_the_last_that_is_said(tmp_path, capsys, monkeypatch):
    """What Orbax logs of it, and what its threads raise, goes into a file of the run."""
    path = tmp_path / "full"
    words = ["train", "--method", "late_fusion", *SMALL, "--no-plots", "--output", str(path)]

    def full(folder):
        error = OSError(errno.ENOSPC, "No space left on device")
        logging.getLogger("absl").error("Failed to run 3 Handler Commit operations", exc_info=error)
        thread = threading.Thread(target=_raise, args=[error])
        thread.start()
        thread.join()
        # Deleted with the error's frames, after the message.
        loop = asyncio.new_event_loop()
        forgotten = loop.create_future()
        forgotten.set_exception(error)
        loop.close()
        raise error

    monkeypatch.setattr(checkpoints, "write_digests", full)
    code, errors = end_of(capsys, *words)
    assert code == 1
    lines = errors.strip().splitlines()
    assert lines[0].startswith("masam train: no space left on device")
    assert lines[1] == f"Where that was is in {path}/errors.log"
    assert len(lines) == 4
    assert lines[3].endswith("--resume")
    log = (path / "errors.log").read_text()
    assert "Failed to run 3 Handler Commit operations" in log
    assert log.count("Traceback") >= 2
    assert "exception was never retrieved" in log
    monkeypatch.undo()
    with jax.numpy_dtype_promotion("standard"):
        assert cli.main([*words, "--resume"]) == 0


def _raise(error):
    raise error


def test_a_bit_of_a_comparisons_configuration_is_noticed(comparison, capsys):
    file = comparison / "config.json"
    content = file.read_text()
    file.write_text(content.replace('"test_size": 40', '"test_size": 44'))
    try:
        code, errors = end_of(capsys, "evaluate", str(comparison))
    finally:
        file.write_text(content)
    assert code == 2
    assert (
        "config.json is damaged: it differs from late_fusion's (data.test_size: 40 -> 44)" in errors
    )


@pytest.mark.parametrize("name", ["results.json", "methods/masam_rho-1/result.json"])
def test_a_digit_of_a_score_is_noticed(comparison, capsys, name):
    """By whoever makes tables of it, and by who goes on there."""
    file = comparison / name
    content = file.read_text()
    altered = re.sub(r"0\.(\d)", lambda found: f"0.{(int(found[1]) + 1) % 10}", content, count=1)
    assert altered != content
    file.write_text(altered)
    words = ["compare", "--methods", "late_fusion", "fusion_only", "masam:rho=1", *SMALL]
    try:
        with pytest.raises(ValueError, match=rf"{file.name} is damaged"):
            read_directory(file.parent)
        code, errors = end_of(capsys, *words, "--output", str(comparison), "--resume")
        mended = file.read_text()
    finally:
        file.write_text(content)
    if name == "results.json":  # Made of the others anew.
        assert (code, json.loads(mended)) == (0, json.loads(content))
    else:
        assert (code, "result.json is damaged" in flat(errors)) == (2, True)


@pytest.mark.parametrize("architecture", ["early_fusion", "shared_backbone"])
def test_methods_on_vectors_refuse_tokens_by_name(tmp_path, capsys, architecture):
    words = ["--method", "pmr", "--architecture", architecture, "--output", str(tmp_path / "run")]
    assert cli.main(["train", *words]) == 2
    assert f"'pmr': it needs vectors for features; architecture={architecture}" in flat(
        capsys.readouterr().err
    )


@pytest.mark.parametrize("words,kept", [([], True), (["--no-compilation-cache"], False)])
def test_programs_are_kept_unless_told_not_to(monkeypatch, capsys, tmp_path, words, kept):
    asked = []

    def kept_programs(enabled):
        asked.append(enabled)
        return nullcontext()

    monkeypatch.setattr("masam_jax.training.kept_programs.kept_programs", kept_programs)
    assert end_of(capsys, "evaluate", str(tmp_path / "none"), *words)[0] == 2
    assert asked == [kept]
