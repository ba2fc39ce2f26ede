"""Training from Python, and what comes out of it."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import masam_jax
from masam_jax import api
from masam_jax.api.in_memory_name import dataset_name
from masam_jax.cli import command_line as cli
from masam_jax.config.errors import RunError
from masam_jax.predict import load_predictor

SIZES = {"train_size": 40, "validation_size": 20, "test_size": 40}
SMALL = {**SIZES, "batch_size": 20, "width": 4, "seeds": 2, "evaluate_every": 2, "progress": False}
METHODS = ["late_fusion", "masam:rho=1"]


def _data(seed=0):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 3, 120)
    features = {
        "audio": draw.normal(size=(120, 5)) + labels[:, None],
        "video": draw.normal(size=(120, 2)) + labels[:, None] / 2,
    }
    return masam_jax.MultimodalData("toy", features, labels, 3)


@pytest.fixture(scope="module")
def comparison():
    return masam_jax.compare(_data(), METHODS, steps=4, **SMALL)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("api") / "trained"
    return masam_jax.train("synthetic", "sam:rho=0.1", steps=4, output=path, **SMALL)


def test_the_table_has_the_numbers_of_the_run(comparison):
    results = json.loads((comparison.path / "results.json").read_text())
    table = comparison.table
    assert list(table["spec"]) == METHODS
    for (_, row), method in zip(table.iterrows(), results["methods"], strict=True):
        scores = method["test"]["accuracy"]
        assert row["accuracy_mean"] == pytest.approx(np.mean(scores))
        assert row["accuracy_std"] == pytest.approx(np.std(scores, ddof=1))
        pd.testing.assert_series_equal(
            comparison.scores[method["title"]],
            pd.Series(scores, pd.Index([0, 1], name="seed"), name=method["title"]),
        )


def test_plots_are_figures(comparison):
    assert comparison.plot_names[0] == "final-test-accuracy"
    assert isinstance(comparison.plot(), Figure)
    assert isinstance(comparison.plot("training-loss"), Figure)
    with pytest.raises(ValueError, match="unknown plot 'trainingloss'; did you mean 'training-lo"):
        comparison.plot("trainingloss")


def test_a_notebook_shows_the_table_and_the_sentence(comparison):
    shown = comparison._repr_html_()
    assert "<table" in shown
    assert "MASAM" in shown
    assert comparison.headline in shown
    assert repr(comparison).splitlines() == [
        f"Comparison('{comparison.path}')",
        comparison.headline,
    ]


def test_a_comparison_is_saved_with_its_report(comparison, tmp_path):
    place = comparison.save(tmp_path / "saved")
    assert (place / "report.html").is_file()
    assert (place / "table.csv").is_file()
    inputs = {"audio": np.ones((3, 5)), "video": np.ones((3, 2))}
    ours = comparison.predictor("late_fusion")(inputs)
    theirs = load_predictor(place, method="late_fusion")(inputs)
    np.testing.assert_array_equal(ours.by_seed, theirs.by_seed)
    with pytest.raises(RunError, match="saved is there already; save where nothing is"):
        comparison.save(place)


def test_what_is_not_saved_goes_with_the_result():
    run = masam_jax.train(_data(), "fusion_only", steps=1, **SMALL)
    path = run.path
    assert path.is_dir()
    del run
    assert not path.exists()


def test_the_run_is_that_of_the_command_line(trained, tmp_path):
    words = (
        "train --dataset synthetic --method sam:rho=0.1 --steps 4 --train-size 40"
        " --validation-size 20 --test-size 40 --batch-size 20 --width 4 --seeds 2"
        " --evaluate-every 2 --no-plots --output"
    )
    assert cli.main([*words.split(), str(tmp_path / "run")]) == 0
    for name in ("config.json", "metrics.jsonl", "splits.json"):
        assert (tmp_path / "run" / name).read_bytes() == (trained.path / name).read_bytes(), name


def test_a_trained_model_predicts(trained):
    data = masam_jax.open_dataset("synthetic")
    rows = {m: values[:7] for m, values in data.features.items()}
    assert trained(rows).probabilities.shape == (7, data.num_classes)
    np.testing.assert_array_equal(trained(rows).by_seed, trained.predictor(rows).by_seed)
    environment = json.loads((trained.path / "environment.json").read_text())
    assert "masam_jax.train" in environment["command"]
    assert "sam:rho=0.1" in environment["command"]


def test_a_run_goes_on_with_the_same_arrays_alone(tmp_path):
    path = tmp_path / "run"
    first = masam_jax.train(_data(), "late_fusion", steps=2, output=path, **SMALL)
    metrics = (first.path / "metrics.jsonl").read_bytes()
    again = masam_jax.train(_data(), "late_fusion", steps=2, output=path, resume=True, **SMALL)
    assert (again.path / "metrics.jsonl").read_bytes() == metrics
    with pytest.raises(RunError, match=r"another configuration: data\.dataset: .<in memory, "):
        masam_jax.train(_data(1), "late_fusion", steps=2, output=path, resume=True, **SMALL)
    with pytest.raises(RunError, match="holds a run already"):
        masam_jax.train(_data(), "late_fusion", steps=2, output=path, **SMALL)


def test_arrays_are_not_opened_by_their_name(tmp_path, capsys):
    path = tmp_path / "run"
    run = masam_jax.train(_data(), "late_fusion", steps=1, output=path, **SMALL)
    assert cli.main(["evaluate", str(path)]) == 2
    assert "were given to the run as arrays, in Python; give them again" in capsys.readouterr().err
    of_data = run.predictor.of_dataset(_data(), "test")
    assert of_data.labels.shape == (SIZES["test_size"],)


def test_the_name_of_arrays_is_their_content():
    assert dataset_name(_data()) == dataset_name(_data())
    assert dataset_name(_data()) != dataset_name(_data(1))
    with pytest.raises(TypeError, match="data is a list; expected a MultimodalData"):
        dataset_name([1, 2])


def test_a_tuning_is_compared():
    found = masam_jax.tune(
        _data(), ["sam"], trials=2, tune_seeds=2, steps=2, **{**SMALL, "seeds": 2}
    )
    assert list(found.table["trials"]) == [2]
    assert found.methods[0].startswith("sam")
    assert found.table["best_score"].iloc[0] >= found.table["default_score"].iloc[0]
    assert "sam" in repr(found)
    assert "<table" in found._repr_html_()


def test_a_diagnosis_says_what_it_found(tmp_path):
    with pytest.warns(UserWarning, match="intervals of 2 seeds say little; take 8 or more"):
        found = masam_jax.diagnose(_data(), steps=4, output=tmp_path / "found", **SMALL)
    content = json.loads((found.path / "diagnosis.json").read_text())
    assert found.verdict == content["verdict"]
    assert list(found.drowned) == content["drowned"]
    for name, row in found.modalities.iterrows():
        told = content["modalities"][name]
        assert row["alone"] == pytest.approx(told["alone"])
        assert [row["lower"], row["upper"]] == pytest.approx(told["interval"])
    assert found.verdict in repr(found)
    assert list(found.remedies.columns) == ["why", "command"]


def test_what_is_odd_about_data_is_a_warning():
    data = _data()
    rare = np.zeros(120, bool)
    rare[:60] = True
    lacking = masam_jax.MultimodalData(
        "toy", data.features, data.labels, 3, present={"video": rare & (data.labels == 0)}
    )
    with pytest.warns(UserWarning, match="video"):
        masam_jax.train(lacking, "late_fusion", steps=1, **SMALL)


def test_nothing_is_odd_about_the_rest():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        masam_jax.train(_data(), "late_fusion", steps=1, **SMALL)
    assert [str(each.message) for each in told if each.category is UserWarning] == []


def test_names_that_are_imported_late_are_those_of_the_room():
    assert set(masam_jax._LAZY) < set(api.__all__)
    for name in masam_jax._LAZY:
        assert getattr(masam_jax, name) is getattr(api, name)
    with pytest.raises(AttributeError, match="module 'masam_jax' has no attribute 'trian'"):
        _ = masam_jax.trian
