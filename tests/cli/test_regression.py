"""A table with a column of numbers to estimate, from the first command to the last."""

import csv
import json

import numpy as np
import pytest

from masam_jax.cli import command_line as cli
from masam_jax.data.dataset_spec import parse_dataset
from masam_jax.data.own.opening import open_own
from masam_jax.predict import load_predictor
from masam_jax.training.evaluate import evaluate_run
from tests.data.own.small_files import write_csv

TINY = ("--seeds", "2", "--batch-size", "8", "--width", "4", "--no-plots")
INTERVALS = ("--log-every", "4", "--evaluate-every", "4", "--checkpoint-every", "4")
ROWS = 60


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """The table, its columns, a run of 8 steps, and one of 4 steps that was made one of 8."""
    place = tmp_path_factory.mktemp("homes")
    rng = np.random.default_rng(0)
    columns = {f"{m}_{i}": rng.normal(size=ROWS).round(3).tolist() for m in "ab" for i in range(3)}
    prices = 1e6 + 5e4 * (np.array(columns["a_0"]) + np.array(columns["b_0"]))
    columns |= {"price": prices.tolist(), "id": [f"home {row}" for row in range(ROWS)]}
    table = write_csv(place / "homes.csv", columns)
    words = ["train", "--method", "masam:rho=1", *TINY, *INTERVALS]
    words += ["--dataset", f"{table}:label=price,task=regression"]
    assert cli.main([*words, "--steps", "8", "--output", str(place / "whole")]) == 0
    grown = ["--output", str(place / "grown")]
    assert cli.main([*words, "--steps", "4", *grown]) == 0
    assert cli.main([*words, "--steps", "8", *grown, "--resume"]) == 0
    return place, table, columns


def _numbers(path):
    found = json.loads((path / "result.json").read_text())
    return {k: v for k, v in found.items() if "second" not in k and "sha256" not in k}


def test_a_resumed_run_has_the_numbers_of_one_that_was_not(homes):
    grown, whole = homes[0] / "grown", homes[0] / "whole"
    assert (grown / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert _numbers(grown) == _numbers(whole)
    assert (grown / "targets.npz").read_bytes() == (whole / "targets.npz").read_bytes()


def test_the_result_is_that_of_the_predictions_in_the_units_of_the_table(homes, tmp_path, masam):
    place, _, columns = homes
    result = _numbers(place / "whole")["test"]
    output = masam("evaluate", place / "whole", "--predictions", tmp_path / "out.csv")
    assert "R², %" in output
    assert "ccuracy" not in output
    with open(tmp_path / "out.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["method", "seed", "row", "key", "label", "prediction", "a", "b"]
    for seed in range(2):
        own = [line for line in lines if line["seed"] == str(seed)]
        truth, found = (np.array([float(x[k]) for x in own]) for k in ("label", "prediction"))
        assert truth.tolist() == [columns["price"][int(line["row"])] for line in own]
        r2 = 1 - np.sum((truth - found) ** 2) / np.sum((truth - truth.mean()) ** 2)
        assert result["r2"][seed] == pytest.approx(r2, rel=1e-4)
        assert result["mae"][seed] == pytest.approx(np.abs(truth - found).mean(), rel=1e-4)
    assert set(result) == {"r2", "mae", "rmse", "fusion_loss", "unimodal_r2", "probe_r2"}


def test_tables_have_the_words_of_regression(homes):
    place = homes[0] / "whole"
    words = (place / "table.md").read_text()
    assert all(word in words for word in ("Test R², %", "MAE", "RMSE", "Mean probe R², %"))
    assert not any(word in words for word in ("ccuracy", "F1", "nats"))
    assert not (place / "confusion.json").exists()


def test_a_predictor_estimates_in_the_units_of_the_table(homes, tmp_path, masam):
    place, table, columns = homes
    (evaluation,) = evaluate_run(place / "whole", "test", None)
    predictor = load_predictor(place / "whole")
    of_split = predictor.of_dataset()
    np.testing.assert_allclose(of_split.by_seed, evaluation.predictions.values, rtol=1e-5)
    np.testing.assert_array_equal(of_split.labels, evaluation.predictions.labels[0])
    found = predictor.of_files(table, label=True)
    assert found.predicted.shape == (ROWS, 1)
    np.testing.assert_array_equal(found.labels[:, 0], columns["price"])
    rows = evaluation.rows[0]
    np.testing.assert_allclose(found.by_seed[:, rows], of_split.by_seed, rtol=1e-5)
    masam("predict", place / "whole", "--inputs", table, "--output", tmp_path / "out.csv")
    with open(tmp_path / "out.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == ["key", "price"]
    written = [float(line["price"]) for line in lines]
    np.testing.assert_allclose(written, found.predicted[:, 0])
    assert "price" in masam("predict", place / "whole", "--inputs", table)
    assert "R², %" in masam("evaluate", place / "whole", "--inputs", table)


def test_what_is_known_of_the_data_has_the_words_of_regression(homes, masam):
    output = masam("datasets", "info", f"{homes[1]}:label=price,task=regression")
    assert "1 target: price" in output
    assert "Targets are in price" in output


def test_numbers_are_not_taken_for_targets_unasked(homes, tmp_path, masam):
    words = ("train", *TINY, "--output", tmp_path / "run")
    assert "task=regression" in masam(*words, "--dataset", f"{homes[1]}:label=a_0", code=2)
    text = f"{homes[1]}:label=id,task=regression"
    assert "column 'id': 'home 0' is no number" in masam(*words, "--dataset", text, code=2)


def test_a_diagnosis_needs_classes(homes, tmp_path, masam):
    words = ("diagnose", "--dataset", f"{homes[1]}:label=price,task=regression")
    assert "a diagnosis needs class prob" in masam(*words, "--output", tmp_path / "run", code=2)


def test_dataset_toml_may_say_so(homes, tmp_path):
    table = tmp_path / "homes.csv"
    table.write_bytes(homes[1].read_bytes())
    toml = tmp_path / "dataset.toml"
    toml.write_text(
        'table = "homes.csv"\nlabel = ["price", "a_1"]\ntask = "regression"\n'
        '[modalities.a]\ncolumns = ["a_0"]\n[modalities.b]\ncolumns = "b_*"\n'
    )
    data = open_own(*parse_dataset(str(tmp_path))).data
    assert (data.is_regression, data.class_names) == (True, ("price", "a_1"))
    np.testing.assert_allclose(data.labels[:, 1], homes[2]["a_1"])
    toml.write_text('table = "homes.csv"\nlabel = "price"\ntask = "ranking"\n[modalities.a]\n')
    with pytest.raises(ValueError, match="task is 'ranking'; classification or regression"):
        open_own(*parse_dataset(str(tmp_path)))
