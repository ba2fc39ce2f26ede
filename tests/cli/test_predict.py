"""``masam predict`` and ``masam evaluate --inputs``: new samples, by a run that was trained."""

import csv
import re
import shlex

import numpy as np
import pytest

from masam_jax.cli import command_line as cli
from masam_jax.config import DataConfig, Experiment, ModelConfig, OptimizationConfig, SeedConfig
from masam_jax.export import load_exported
from masam_jax.predict import load_predictor
from masam_jax.training.evaluate import evaluate_run
from tests.data.own.media_files import write_media
from tests.data.own.small_files import WORDS, small_columns, write_csv
from tests.saved_runs import save_run
from tests.test_house import ROOT

TINY = ("--steps", "4", "--seeds", "2", "--batch-size", "8", "--width", "4", "--no-plots")


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """A comparison on two groups of columns: its columns and directory."""
    place = tmp_path_factory.mktemp("trees")
    columns = {**small_columns(), "id": [f"=tree {row}" for row in range(60)]}
    table = write_csv(place / "trees.csv", columns)
    words = ["--dataset", f"{table}:label=species,group=patient", *TINY]
    methods = ["--methods", "late_fusion", "masam:rho=12", "--output", str(place / "run")]
    assert cli.main(["compare", *words, *methods]) == 0
    return columns, place / "run"


def untrained(place, dataset, modalities=()):
    """A run of one step's shape, whose parameters are made up."""
    experiment = Experiment(
        data=DataConfig(dataset, None, None, None, modalities=modalities),
        model=ModelConfig(width=4, depth=1),
        optimization=OptimizationConfig(steps=1, batch_size=4),
        seeds=SeedConfig(2),
    )
    return save_run(place, ["masam"], experiment)


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def of_test(run, columns):
    """The rows that the run was tested on, and what was measured there, by method."""
    evaluations = evaluate_run(run, "test", None)
    rows = evaluations[0].rows[0]
    return {name: [values[row] for row in rows] for name, values in columns.items()}, evaluations


def test_a_table_is_predicted_to_a_file_and_to_the_terminal(trees, masam, tmp_path):
    columns, run = trees
    rows, (_, evaluation) = of_test(run, columns)
    table = write_csv(tmp_path / "new.csv", {k: v for k, v in rows.items() if k != "species"})
    words = ("predict", run, "--inputs", table, "--method", "masam:rho=12")
    output = tmp_path / "predictions.csv"
    assert masam(*words, "--output", output) == f"written: {output}\n"
    found = read(output)
    assert list(found[0]) == ["key", "predicted", *(f"p_{name}" for name in WORDS)]
    # Spreadsheets run no key.
    assert [row["key"] for row in found] == [f"'{key}" for key in rows["id"]]
    probabilities = np.array([[float(row[f"p_{name}"]) for name in WORDS] for row in found])
    expected = evaluation.predictions.probabilities.mean(axis=0)
    np.testing.assert_allclose(probabilities, expected, atol=2e-6)
    assert [row["predicted"] for row in found] == [WORDS[k] for k in expected.argmax(-1)]
    shown = masam(*words)
    assert rows["id"][0] in shown
    assert "and 2 more; --output FILE.csv writes all" in shown
    masam("predict", run / "methods" / "late_fusion", "--inputs", table)


def test_a_table_with_labels_is_evaluated_as_the_split(trees, masam, tmp_path):
    columns, run = trees
    rows, evaluations = of_test(run, columns)
    table = write_csv(tmp_path / "new.csv", rows)
    renamed = {"kind" if name == "species" else name: values for name, values in rows.items()}
    other = write_csv(tmp_path / "renamed.csv", renamed)
    words = ("--inputs", other, "--label", "kind", "--predictions", tmp_path / "files.csv")
    shown = masam("evaluate", run, *words)
    of_split = masam("evaluate", run, "--predictions", tmp_path / "split.csv")
    # Between heading and last line are accuracy, F1 and loss.
    tables = [text[text.index("┏") : text.index("written")] for text in (shown, of_split)]
    assert tables[0] == tables[1]
    found, expected = read(tmp_path / "files.csv"), read(tmp_path / "split.csv")
    assert len(found) == len(expected) == 2 * 2 * len(rows["id"])
    for one, other in zip(found, expected, strict=True):
        del one["row"], other["row"]
        assert float(one.pop("confidence")) == pytest.approx(float(other.pop("confidence")))
        assert one == other
    # One method of the comparison, its label by the run's name for it.
    place = run / "methods" / evaluations[1].method.slug
    assert "masam" in masam("evaluate", place, "--inputs", table).lower()


def test_mistakes(trees, masam, tmp_path):
    columns, run = trees
    table = write_csv(tmp_path / "new.csv", {**columns, "species": ["fir"] * 60})
    error = masam("evaluate", run, "--inputs", table, code=2)
    assert error.count("\n") == 1
    assert error.startswith(f"masam evaluate: {table}, column 'species': ")
    assert "'fir'" in error
    assert masam("predict", run, code=2).startswith("masam predict: --inputs is missing; ")
    assert "has several methods" in masam("predict", run, "--inputs", table, code=2)
    error = masam("evaluate", run, "--label", "species", code=2)
    assert error.startswith("masam evaluate: --label names a column of --inputs")
    words = ("predict", run, "--method", "late_fusion", "--inputs")
    assert "there is no such file" in masam(*words, tmp_path / "gone.csv", code=2)
    assert "/no/p.csv cannot be written" in masam(*words, table, "--output", "/no/p.csv", code=2)


def test_media_and_text(masam, tmp_path):
    columns = write_media(tmp_path / "clips")
    clips = tmp_path / "clips" / "clips.csv"
    run = untrained(tmp_path / "run", f"{clips}:label=species", ("caption", "photo"))
    new = {name: columns[name][:3] for name in ("photo", "caption")}
    table = write_csv(tmp_path / "clips" / "new.csv", {**new, "key": ["a", "b", "c"]})
    output = tmp_path / "p.csv"
    masam("predict", run, "--inputs", table, "--output", output)
    assert [row["key"] for row in read(output)] == ["a", "b", "c"]
    write_csv(table, {**new, "photo": [*columns["photo"][:2], "gone.png"]})
    error = masam("predict", run, "--inputs", table, code=2)
    assert f"{table}, line 4, column 'photo': " in error


def test_several_labels(masam, tmp_path):
    columns = small_columns()
    del columns["species"]
    draws = np.random.default_rng(2)
    columns |= {name: draws.integers(0, 2, 60).tolist() for name in ("tall", "old")}
    table = write_csv(tmp_path / "trees.csv", columns)
    run = untrained(tmp_path / "run", f"{table}:label=tall/old,group=patient")
    output = tmp_path / "p.csv"
    masam("predict", run, "--inputs", table, "--output", output)
    found = read(output)
    assert list(found[0]) == ["row", "tall", "old", "p_tall", "p_old"]
    for row, line in enumerate(found):
        assert line["row"] == str(row)
        for name in ("tall", "old"):
            assert line[name] == str(int(float(line[f"p_{name}"]) >= 0.5))
    assert "Accuracy" in masam("evaluate", run, "--inputs", table)


def test_the_page_is_run(masam, tmp_path, monkeypatch):
    page = (ROOT / "docs" / "inference.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    masam (train|predict|evaluate) (.+)$", page, re.MULTILINE)
    block = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1]
    assert [command for command, _ in commands] == ["train", "predict", "evaluate"]
    monkeypatch.chdir(tmp_path)
    columns = small_columns()
    write_csv(tmp_path / "trees.csv", columns)
    write_csv(tmp_path / "new.csv", {name: values[:7] for name, values in columns.items()})
    dataset, run = shlex.split(commands[0][1])[1::2]
    untrained(tmp_path / run, dataset)
    for command, words in commands[1:]:
        assert "written: predictions.csv" in masam(command, *shlex.split(words))
    assert (tmp_path / "predictions.csv").is_file()
    names = {"predictor": load_predictor(run)}
    exec(block, names)
    assert names["found"].probabilities.shape == (7, 3)


def test_a_run_is_exported(trees, masam, tmp_path):
    _, run = trees
    words = ("export", run, "--method", "late_fusion", "--platforms", "cpu")
    shown = masam(*words, "--output", tmp_path / "served", "--seed", "1")
    assert shown.startswith(f"written: {tmp_path / 'served' / 'program.jax'} (")
    assert load_exported(tmp_path / "served").seeds == (1,)
    assert masam("export", run, code=2).startswith(f"masam export: {run} has several methods")
    error = masam(*words[:-1], "gpu", code=2)
    assert error.startswith("masam export: unknown platform 'gpu'; ")
