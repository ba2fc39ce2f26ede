"""Data of one's own on the command line: trained, evaluated, resumed; and refused once changed."""

import csv
import json

import numpy as np
import pytest

from masam_jax.cli import command_line as cli
from masam_jax.cli.words import parse
from masam_jax.config.errors import RunError
from masam_jax.config.published import own_settings
from masam_jax.methods import parse_method
from masam_jax.predict import load_predictor
from tests.data.own.media_files import write_media
from tests.data.own.small_files import WORDS, small_arrays, small_columns, write_csv

TINY = ("--steps", "4", "--seeds", "1", "--batch-size", "8", "--width", "4", "--no-plots")


@pytest.fixture
def masam(capsys, tmp_path, monkeypatch):
    """Runs a command in a directory of its own; code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        try:
            code = cli.main([*map(str, words)])
        except SystemExit as exit_:
            code = exit_.code
        return code, *capsys.readouterr()

    return run


def test_a_table_is_trained_on_evaluated_resumed_and_refused(masam, tmp_path, monkeypatch):
    columns = {**small_columns(), "id": [f"tree {row}" for row in range(60)]}
    table = write_csv(tmp_path / "trees.csv", columns)
    train = ("train", "--dataset", "trees.csv:label=species,group=patient", *TINY)
    train = (*train, "--output", "run")
    code, output, errors = masam(*train)
    assert (code, errors) == (0, "")
    assert "trees: 2 modalities, " in output
    assert " training samples, 1 seed, " in output
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["data"]["dataset"] == f"{table}:label=species,group=patient"
    assert json.loads((tmp_path / "run" / "data.json").read_text())["classes"] == list(WORDS)

    # From elsewhere, too.
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    assert masam("evaluate", "../run", "--predictions", "p.csv")[0] == 0
    with open("p.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["label"] for row in rows} <= set(WORDS)
    assert all(row["key"] == f"tree {row['row']}" for row in rows)
    assert all(columns["species"][int(row["row"])] == row["label"] for row in rows)
    monkeypatch.chdir(tmp_path)
    assert masam(*train, "--resume")[0] == 0

    assert load_predictor("run").of_dataset().classes == WORDS

    table.rename(tmp_path / "moved.csv")
    assert masam("evaluate", "run")[2].endswith("there is no such file or folder\n")
    assert masam("evaluate", "run", "--source", "moved.csv")[0] == 0
    write_csv(table, {**columns, "face_x": np.zeros(60)})
    for words in (("evaluate", "run"), (*train, "--resume")):
        code, _, errors = masam(*words)
        assert code == 2
        assert "the data changed since this run" in errors
        assert errors.count("\n") == 1
    with pytest.raises(RunError, match="the data changed since this run"):
        load_predictor("run").of_dataset()


def _parquet(place, arrays):
    pandas = pytest.importorskip("pandas")
    columns = {name: list(values) for name, values in arrays.items()}
    pandas.DataFrame(columns).to_parquet(place / "mine.parquet")
    return "mine.parquet"


def _hugging_face(place, arrays):
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_dict({name: list(v) for name, v in arrays.items()})
    whole.save_to_disk(str(place / "mine"))
    return "mine"


def _npz(place, arrays):
    np.savez(place / "mine.npz", **arrays)
    return "mine.npz"


def _function(place, arrays):
    _npz(place, arrays)
    (place / "made_by_me.py").write_text(
        "import numpy as np\n"
        "from masam_jax.data import MultimodalData\n"
        "def load():\n"
        "    found = np.load('mine.npz')\n"
        "    return MultimodalData({m: found[m] for m in 'ab'}, found['label'], name='mine')\n"
    )
    return "made_by_me:load"


@pytest.mark.parametrize("write", [_parquet, _hugging_face, _npz, _function])
def test_every_form_trains_and_is_evaluated(masam, tmp_path, write):
    draws = np.random.default_rng(0)
    arrays = {name: draws.normal(size=(40, 3)).astype(np.float32) for name in "ab"}
    place = write(tmp_path, {**arrays, "label": np.array(WORDS)[np.arange(40) % 3]})
    assert masam("train", "--dataset", place, *TINY, "--output", "run")[0] == 0
    assert masam("evaluate", "run", "--predictions", "p.csv")[0] == 0
    facts = json.loads((tmp_path / "run" / "data.json").read_text())
    assert (facts["name"], facts["classes"]) == ("mine", list(WORDS))
    assert list(facts["modalities"]) == ["a", "b"]


def test_arrays_and_what_was_taken_from_them(masam, tmp_path):
    np.savez(tmp_path / "mine.npz", **small_arrays())
    words = ("--dataset", "mine.npz", *TINY, "--output", "run", "--missing", "0.3")
    assert masam("train", *words, "--label-noise", "0.2")[0] == 0
    code, output, _ = masam("evaluate", "run")
    assert (code, "test split" in output) == (0, True)


def test_odd_data_are_trained_on_with_a_warning(masam, tmp_path):
    columns = {**small_columns(), "code": [WORDS.index(w) for w in small_columns()["species"]]}
    write_csv(tmp_path / "trees.csv", columns)
    words = ("--dataset", "trees.csv:label=species", *TINY, "--output", "run")
    code, output, _ = masam("train", *words)
    assert code == 0
    assert "warning: trees: patient: not used; it seems to say whose row it is" in output
    leak = "warning: trees: modality 'numbers' (column 'code') tells the class of every row"
    assert leak in output


@pytest.mark.parametrize(
    "words, message",
    [
        (("--dataset", "none.csv"), "none.csv: there is no such file or folder"),
        (("--dataset", "trees.csv"), "no column is called label"),
        (("--dataset", "trees.csv:label=species", "--batch-size", "100"), "100"),
        (("--dataset", "trees.csv:label=species,test=60"), "test: 60 of 60 rows are asked for"),
    ],
)
def test_mistakes_are_one_line(masam, tmp_path, words, message):
    write_csv(tmp_path / "trees.csv", small_columns())
    code, _, errors = masam("train", *words, "--output", "run")
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_metric_that_there_is_not_is_told_before_training(masam, tmp_path):
    lines = "from masam_jax.data import MultimodalData", "def load():"
    made = '    return MultimodalData({"a": [[1], [2], [3]] * 9}, [0, 1, 2] * 9, metric="f1")'
    (tmp_path / "data_of_mine.py").write_text("\n".join((*lines, made)))
    code, _, errors = masam("train", "--dataset", "data_of_mine:load", *TINY, "--output", "run")
    assert code == 2
    assert "the metric of data must be one of" in errors


def test_the_command_line_starts_from_all_rows():
    data = parse(["train", "--dataset", "mine.csv:label=y"]).experiment.data
    assert data.train_size is data.validation_size is data.test_size is None
    compared = parse(["compare", "--dataset", "mine.csv"]).methods
    assert "recommended" in compared
    assert [parse_method(each) for each in compared]
    assert compared == own_settings("mine.csv").compared


def test_info_and_verify(masam, tmp_path):
    write_csv(tmp_path / "trees.csv", small_columns())
    code, output, _ = masam("datasets", "info", "trees.csv:label=species,group=patient")
    assert code == 0
    assert "60 samples. Classes are in species. Parts: 20 % to test on" in output
    code, output, errors = masam("datasets", "verify", "trees.csv:label=species,group=patient")
    assert (code, errors) == (0, "")
    assert "60 of 60 samples read" in output
    assert (tmp_path / "contact_sheet.png").is_file()
    assert masam("datasets", "prepare", "trees.csv:label=species")[0] == 0


def test_describe_writes_what_train_then_reads(masam, tmp_path):
    folder = tmp_path / "clips"
    write_media(folder, kinds=("photo",))
    code, output, errors = masam("datasets", "describe", "clips", "--label", "species")
    assert (code, errors) == (0, "")
    assert "written: clips/dataset.toml" in output
    assert "compare --dataset clips" in output
    assert masam("datasets", "describe", "clips", "--label", "species")[0] == 2
    small = (folder / "dataset.toml").read_text()
    small = small.replace('column = "photo"', 'column = "photo"\nsize = 8')
    (folder / "dataset.toml").write_text(small)
    tiny = ("--steps", "4", "--seeds", "1", "--batch-size", "4", "--width", "4", "--no-plots")
    assert masam("train", "--dataset", "clips", *tiny, "--output", "run")[0] == 0
    assert masam("evaluate", "run")[0] == 0
    assert masam("datasets", "verify", "clips")[0] == 0
    assert (folder / "contact_sheet.png").is_file()


@pytest.mark.parametrize(
    "words, message",
    [
        (("mfeat",), "mfeat is a data set of the package"),
        (("none.csv",), "none.csv: there is no such file or folder"),
        (("trees.csv",), "no column is called label"),
    ],
)
def test_what_cannot_be_described(masam, tmp_path, words, message):
    write_csv(tmp_path / "trees.csv", small_columns())
    code, _, errors = masam("datasets", "describe", *words)
    assert (code, errors.count("\n")) == (2, 1)
    assert message in errors
    assert not (tmp_path / "dataset.toml").exists()
