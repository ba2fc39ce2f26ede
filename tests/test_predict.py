"""Inference from a run directory: what ``masam evaluate`` says, without the data."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from masam_jax.config import (
    CorruptionConfig,
    DataConfig,
    EvaluationConfig,
    Experiment,
    InputConfig,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.data import load_mfeat, make_synthetic
from masam_jax.predict import RunError, load_predictor
from masam_jax.training.evaluate import evaluate_run
from masam_jax.training.open_data import open_data
from tests.data.builders.sources import make_any_source
from tests.saved_runs import save_run

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "inference.md"
SYNTHETIC = "synthetic:dominance=2/1,num_classes=3,samples=120"


def experiment_on(dataset, sizes=(None, None, None), seeds=2, corruption=None, **model):
    return Experiment(
        data=DataConfig(dataset, *sizes),
        corruption=corruption or CorruptionConfig(),
        model=ModelConfig(**({"width": 4, "depth": 1} | model)),
        optimization=OptimizationConfig(steps=4, batch_size=8),
        seeds=SeedConfig(seeds),
        evaluation=EvaluationConfig(log_every=2, evaluate_every=1, checkpoint_every=4),
    )


def assert_evaluates_alike(prediction, evaluation):
    rows, found = evaluation.rows, evaluation.predictions
    assert (rows == prediction.rows).all()
    assert (found.labels == prediction.labels).all()
    np.testing.assert_allclose(prediction.by_seed, found.probabilities, rtol=2e-5, atol=1e-6)
    assert prediction.unimodal_by_seed.keys() == found.unimodal.keys()
    for m, own in found.unimodal.items():
        np.testing.assert_allclose(prediction.unimodal_by_seed[m], own, rtol=2e-5, atol=1e-6)


def assert_equal(left, right):
    np.testing.assert_allclose(left.by_seed, right.by_seed, rtol=2e-5, atol=1e-6)


@pytest.fixture(scope="module")
def mfeat(tmp_path_factory):
    """In a directory of the name that docs/inference.md uses."""
    place = tmp_path_factory.mktemp("mfeat") / "runs" / "mine"
    place.parent.mkdir()
    return save_run(place, ["masam:rho=1"], experiment_on("mfeat", (24, 40, 40)))


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """Two methods; of the second, predictions read what its objective keeps."""
    place = tmp_path_factory.mktemp("comparison") / "run"
    experiment = experiment_on(SYNTHETIC, (40, 20, 20), seeds=3)
    return save_run(place, ["late_fusion", "aug:hidden=8"], experiment)


class Prepared:
    """A published data set of made-up files, prepared, and a run on it."""

    def __init__(self, place, dataset, **model):
        self.inputs = InputConfig(str(place / "prepared"), str(place / "source"))
        make_any_source(dataset.partition(":")[0], place / "source")
        experiment = experiment_on(dataset, dropout=0.3, **model)
        self.run = save_run(place / "run", ["masam"], experiment, self.inputs)
        self.data = open_data(dataset, self.inputs)
        self.data.reader.fitted = json.loads((self.run / "fitted.json").read_text())["fitted"]


@pytest.fixture(scope="module")
def adni(tmp_path_factory):
    """Batch normalisation, dropout, and decoding that is fitted to the training samples."""
    encoders = ("mri=ffn", "tabular=ffn")
    return Prepared(tmp_path_factory.mktemp("adni"), "adni", encoders=encoders, depth=2)


@pytest.fixture(scope="module")
def mimic(tmp_path_factory):
    """Read from disk; 25 labels, sequences with masks, and stays without an X-ray."""
    dataset = "mimic_phenotype:image_size=16,pairs=partial"
    return Prepared(tmp_path_factory.mktemp("mimic"), dataset)


@pytest.mark.parametrize("checkpoint", ["best", None])
def test_mfeat_as_evaluated(mfeat, checkpoint):
    (evaluation,) = evaluate_run(mfeat, "test", checkpoint)
    predictor = load_predictor(mfeat, checkpoint=checkpoint)
    prediction = predictor.of_dataset()
    assert_evaluates_alike(prediction, evaluation)
    assert predictor.method == "masam:rho=1"
    assert prediction.classes == tuple("0123456789")
    assert prediction.probabilities.shape == (40, 10)
    np.testing.assert_allclose(prediction.probabilities.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(prediction.probabilities, prediction.by_seed.mean(0), rtol=1e-6)
    assert prediction.unimodal["pix"].shape == (40, 10)
    assert (prediction.predicted == prediction.probabilities.argmax(-1)).all()


def test_raw_arrays_are_predicted_as_the_data_set(mfeat):
    predictor = load_predictor(mfeat, batch_size=16)
    expected = predictor.of_dataset()
    features = load_mfeat().features
    found = predictor({m: features[m][expected.rows] for m in features})
    assert_equal(found, expected)
    assert found.rows is None
    assert found.labels is None
    # A batch of any size, of other dtypes, alone or among others.
    one = predictor({m: features[m][expected.rows[3:4]].astype(np.float64) for m in features})
    np.testing.assert_allclose(one.by_seed, found.by_seed[:, 3:4], rtol=2e-5, atol=1e-6)


def test_batches_of_any_size_compile_once(mfeat):
    predictor = load_predictor(mfeat, batch_size=4)
    features = load_mfeat().features
    for count in (1, 3, 4, 9):
        found = predictor({m: features[m][:count] for m in features})
        assert found.by_seed.shape == (2, count, 10)
    (program,) = predictor._programs.values()
    assert program._cache_size() == 1


def test_splits_that_differ_between_seeds_are_predicted_seed_by_seed(mfeat):
    (evaluation,) = evaluate_run(mfeat, "train", None)
    with pytest.raises(RunError, match=r"train samples differ between the seeds 0, 1.*seeds=\(0,"):
        load_predictor(mfeat).of_dataset(split="train")
    prediction = load_predictor(mfeat, seeds=[1]).of_dataset("mfeat", split="train")
    assert (prediction.rows == evaluation.rows[1]).all()
    expected = evaluation.predictions.probabilities[1:]
    np.testing.assert_allclose(prediction.by_seed, expected, rtol=2e-5, atol=1e-6)


def test_methods_of_a_comparison(comparison):
    late_fusion, aug = evaluate_run(comparison, "validation", "best")
    for spec, evaluation in (("late_fusion", late_fusion), ("aug:hidden=8", aug)):
        predictor = load_predictor(comparison, method=spec, checkpoint="best")
        assert_evaluates_alike(predictor.of_dataset(split="validation"), evaluation)
    # Inside the comparison, and with the option said in another way.
    inside = load_predictor(comparison / "methods" / "aug_hidden-8", checkpoint="best")
    assert_evaluates_alike(inside.of_dataset(split="validation"), aug)
    assert load_predictor(comparison, method="aug:hidden=8,residual=0.5").method == "aug:hidden=8"


def test_last_and_best_differ_and_seeds_may_be_chosen(comparison):
    def predict(**options):
        return load_predictor(comparison, method="aug:hidden=8", **options).of_dataset().by_seed

    last, best = predict(checkpoint="last"), predict(checkpoint="best")
    assert np.abs(last - best).max() > 1e-3
    np.testing.assert_allclose(predict(seeds=(2, 0)), last[[2, 0]], rtol=2e-5, atol=1e-6)
    assert load_predictor(comparison, method="late_fusion", seeds=(2, 0)).seeds == (2, 0)


def test_the_runs_corruptions_are_for_its_data_set_alone(tmp_path):
    corruption = CorruptionConfig(missing=0.4, input_noise=3.0, label_noise=0.2, label_fraction=0.8)
    experiment = experiment_on(SYNTHETIC, (40, 20, 20), corruption=corruption)
    place = save_run(tmp_path / "run", ["late_fusion"], experiment)
    predictor = load_predictor(place, batch_size=8)
    prediction = predictor.of_dataset()
    assert_evaluates_alike(prediction, evaluate_run(place, "test", None)[0])
    data = open_data(SYNTHETIC, InputConfig())
    raw = {m: x[prediction.rows] for m, x in data.features.items()}
    assert np.abs(predictor(raw).by_seed - prediction.by_seed).max() > 1e-3
    # Such a run has seen samples without a modality, so one may be left out.
    assert_equal(predictor({"m0": raw["m0"]}), predictor({"m0": raw["m0"], "m1": None}))


def test_batch_normalisation_dropout_and_fitted_decoding(adni):
    predictor = load_predictor(adni.run)
    prediction = predictor.of_dataset(inputs=adni.inputs)
    (evaluation,) = evaluate_run(adni.run, "test", None, adni.inputs)
    assert_evaluates_alike(prediction, evaluation)
    assert prediction.classes == adni.data.builder.CLASS_NAMES
    assert_equal(predictor(adni.data.reader(prediction.rows).inputs), prediction)


def test_several_labels_and_missing_modalities(mimic):
    predictor = load_predictor(mimic.run, batch_size=5)
    prediction = predictor.of_dataset(inputs=mimic.inputs)
    (evaluation,) = evaluate_run(mimic.run, "test", None, mimic.inputs)
    assert_evaluates_alike(prediction, evaluation)
    assert (prediction.predicted == (prediction.probabilities >= 0.5)).all()
    assert prediction.predicted.shape == prediction.labels.shape == (len(prediction.rows), 25)
    samples = mimic.data.reader(prediction.rows)
    has = samples.present["cxr"]
    assert 0 < has.sum() < len(has)
    assert_equal(predictor(samples.inputs, present=samples.present), prediction)
    # What stands in the place of a missing image leaves no trace.
    noise = np.full_like(samples.inputs["cxr"], 200)
    filled = np.where(has[:, None, None, None], samples.inputs["cxr"], noise)
    masked = predictor(samples.inputs | {"cxr": filled}, present={"cxr": has})
    assert_equal(masked, prediction)
    without = predictor({"ehr": samples.inputs["ehr"]})
    np.testing.assert_allclose(
        without.by_seed[:, ~has], prediction.by_seed[:, ~has], rtol=2e-5, atol=1e-6
    )


def test_a_missing_modality_is_zeros_after_standardisation(comparison):
    """The mean of the training samples, of each seed its own."""
    rows = load_predictor(comparison, method="late_fusion").of_dataset().rows
    features = {m: x[rows] for m, x in open_data(SYNTHETIC, InputConfig()).features.items()}
    with np.load(comparison / "statistics.npz") as file:
        means = file["mean/m1"]
    for seed in (0, 2):
        predictor = load_predictor(comparison, method="late_fusion", seeds=[seed])
        mean = np.broadcast_to(means[seed], features["m1"].shape)
        assert_equal(predictor(features | {"m1": None}), predictor(features | {"m1": mean}))
        absent = np.zeros(len(rows), np.bool_)
        assert_equal(
            predictor(features, present={"m1": absent}), predictor(features | {"m1": mean})
        )


def test_the_data_are_not_needed(adni, tmp_path):
    prediction = load_predictor(adni.run).of_dataset(inputs=adni.inputs)
    inputs = adni.data.reader(prediction.rows).inputs
    moved = shutil.copytree(adni.run, tmp_path / "elsewhere")
    predictor = load_predictor(moved)
    assert_equal(predictor(inputs), load_predictor(adni.run)(inputs))
    with pytest.raises(RunError, match=r"'adni' is not prepared in .*nowhere"):
        predictor.of_dataset(inputs=InputConfig(str(tmp_path / "nowhere")))


def test_another_data_set_with_the_same_modalities(comparison):
    predictor = load_predictor(comparison, method="late_fusion")
    other = make_synthetic(samples=120, num_classes=3, dominance=(2.0, 1.0), seed=5)
    prediction = predictor.of_dataset(other)
    assert_equal(predictor({m: x[prediction.rows] for m, x in other.features.items()}), prediction)
    assert (prediction.labels == other.labels[prediction.rows]).all()
    with pytest.raises(RunError, match=r"mfeat has the modalities fac, .*; the run has m0, m1"):
        predictor.of_dataset("mfeat")
    wide = make_synthetic(samples=120, num_classes=3, dominance=(2.0, 1.0), dims=(17,))
    with pytest.raises(
        RunError, match=r"inputs\['m0'\] have shape \(64, 17\); \[n, 16\] is needed"
    ):
        predictor.of_dataset(wide)
    with pytest.raises(RunError, match="split='dev' is unknown; 'train', 'validation', 'test'"):
        predictor.of_dataset(split="dev")


def test_data_that_are_split_otherwise_are_refused(comparison, tmp_path):
    place = shutil.copytree(comparison, tmp_path / "run")
    splits = json.loads((place / "splits.json").read_text())
    splits["seeds"]["1"] = "0" * 64
    (place / "splits.json").write_text(json.dumps(splits))
    with pytest.raises(RunError, match="split otherwise now"):
        load_predictor(place, method="late_fusion").of_dataset()
    assert load_predictor(place, method="late_fusion", seeds=[0]).of_dataset().by_seed.shape[0] == 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "has several methods: give method, one of late_fusion, aug:hidden=8"),
        ({"method": "sam"}, "has no method 'sam'; it has late_fusion, aug:hidden=8"),
        ({"method": "lat_fusion"}, "did you mean 'late_fusion'"),
        ({"method": "late_fusion", "checkpoint": "first"}, "'first' is unknown; 'last', 'best'"),
        ({"method": "late_fusion", "seeds": (0, 3)}, r"seeds=\(0, 3\) are not some .*: 0, 1, 2"),
        ({"method": "late_fusion", "seeds": (1, 1)}, r"seeds=\(1, 1\) are not"),
        ({"method": "late_fusion", "seeds": ()}, r"seeds=\(\) are not"),
    ],
)
def test_what_a_run_does_not_have_is_refused(comparison, options, message):
    with pytest.raises(RunError, match=message):
        load_predictor(comparison, **options)


def test_directories_that_are_no_finished_run_are_refused(comparison, tmp_path):
    with pytest.raises(RunError, match="is no directory"):
        load_predictor(tmp_path / "nothing")
    with pytest.raises(RunError, match="not a run directory"):
        load_predictor(tmp_path)
    with pytest.raises(ValueError, match="batch_size must be an integer >= 1, got 0"):
        load_predictor(comparison, method="late_fusion", batch_size=0)
    place = shutil.copytree(comparison, tmp_path / "run")
    method = place / "methods" / "late_fusion"
    for path in (place / "data.json", method / "training.json"):
        content = path.read_text()
        path.write_text('{"steps": null}')
        with pytest.raises(RunError, match=f"{path.name} is damaged"):
            load_predictor(method)
        path.unlink()
        with pytest.raises(RunError, match=f"has no {path.name}"):
            load_predictor(method)
        path.write_text(content)
    shutil.rmtree(method / "checkpoints")
    with pytest.raises(RunError, match="holds no checkpoint"):
        load_predictor(method)


def test_a_checkpoint_of_another_network_is_refused(comparison, tmp_path):
    place = shutil.copytree(comparison, tmp_path / "run")
    data = json.loads((place / "data.json").read_text())
    data["modalities"]["m1"]["shape"] = [7]
    (place / "data.json").write_text(json.dumps(data))
    with pytest.raises(RunError, match=r"data\.json is damaged: its content has not the digest"):
        load_predictor(place, method="late_fusion", checkpoint="last")
    del data["sha256"]
    (place / "data.json").write_text(json.dumps(data))
    with pytest.raises(RunError, match=r"of another model: params/encoders/m1/\S+: .*16, 4.*7, 4"):
        load_predictor(place, method="late_fusion", checkpoint="last")


def test_inputs_are_checked_at_the_door(comparison):
    predictor = load_predictor(comparison, method="late_fusion")
    with pytest.raises(ValueError, match="inputs lack 'm1': give its samples, or None"):
        predictor({"m0": np.zeros((2, 16))})
    with pytest.raises(
        ValueError, match=r"inputs\['m1'\] have shape \(2, 5\); \[n, 16\] is needed"
    ):
        predictor({"m0": np.zeros((2, 16)), "m1": np.zeros((2, 5))})


def test_the_snippet_of_the_page_runs(mfeat, monkeypatch):
    text = PAGE.read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    monkeypatch.chdir(mfeat.parent.parent)
    found = {}
    exec(code, found)
    assert found["prediction"].probabilities.shape == (3, 10)
    assert_evaluates_alike(found["whole"], evaluate_run(mfeat, "test", None)[0])
