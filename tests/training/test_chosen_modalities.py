"""Training on some of a data set's modalities."""

import dataclasses

import jax
import numpy as np
import pytest

from masam_jax.config import (
    DataConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
    as_json,
)
from masam_jax.config.experiment import experiment_from_json
from masam_jax.predict import load_predictor
from masam_jax.training.distribution import make_placement
from masam_jax.training.evaluate import evaluate_run
from masam_jax.training.problem import build_problem
from tests.saved_runs import save_run

EXPERIMENT = Experiment(
    data=DataConfig("synthetic:samples=150,dominance=2/1/0.5", 60, 30, 40, modalities=("m2,m0",)),
    model=ModelConfig(width=4, depth=1, encoders=("m0=mlp", "m1=mlp")),
    optimization=OptimizationConfig(batch_size=20),
    seeds=SeedConfig(2),
)


def _problem(**changes):
    return build_problem(dataclasses.replace(EXPERIMENT, **changes), make_placement)


@pytest.mark.parametrize("written", [("m2,m0",), ("m0", "m2"), ("m0,", "m2", "m0")])
def test_however_they_are_written_they_are_the_same_run(written):
    config = DataConfig("synthetic", modalities=written)
    assert config.modalities == ("m0", "m2")
    experiment = dataclasses.replace(EXPERIMENT, data=config)
    assert experiment_from_json(as_json(experiment)) == experiment


def test_the_network_and_the_data_have_these_alone():
    problem, whole = _problem(), _problem(data=dataclasses.replace(EXPERIMENT.data, modalities=()))
    assert problem.modalities == ("m0", "m2")
    assert set(problem.initial("concat")[0]["encoders"]) == set(problem.resident) == {"m0", "m2"}
    for split in ("train", "validation", "test"):
        assert np.array_equal(problem.indices(split), whole.indices(split))
    assert problem.describe_splits() == whole.describe_splits()


def test_an_encoder_of_no_modality_is_still_a_mistake():
    model = dataclasses.replace(EXPERIMENT.model, encoders=("m3=mlp",))
    with pytest.raises(ValueError, match="encoders: unknown modality 'm3'"):
        _problem(model=model)


def test_a_modality_that_the_data_lack_is_refused():
    with pytest.raises(ValueError, match="unknown modality 'm3'"):
        _problem(data=dataclasses.replace(EXPERIMENT.data, modalities=("m3",)))


def test_a_run_is_evaluated_and_predicts_with_its_own_modalities(tmp_path):
    path = save_run(tmp_path / "run", ["late_fusion"], EXPERIMENT)
    predictor = load_predictor(path)
    assert list(predictor.modalities) == ["m0", "m2"]
    (evaluation,) = evaluate_run(path, "test", None)
    np.testing.assert_allclose(
        predictor.of_dataset().by_seed, evaluation.predictions.probabilities, rtol=1e-5, atol=1e-6
    )


def test_samples_on_disk_lose_the_others(prepared):
    data = prepared.open("adni")
    data.fit(np.arange(len(data)))
    chosen = data.select(["tabular"])
    assert (data.modalities, chosen.modalities) == (("mri", "tabular"), ("tabular",))
    whole, part = (opened.reader(np.arange(3)) for opened in (data, chosen))
    assert set(part.inputs) == set(part.present) == {"tabular"}
    same = jax.tree.map(np.array_equal, whole.inputs["tabular"], part.inputs["tabular"])
    assert jax.tree.all(same)
    assert set(chosen.in_memory().features) == {"tabular"}


@pytest.mark.parametrize("asked, found", [((), "''"), (("x-ray",), "'x-ray'")])
def test_samples_on_disk_need_a_modality_that_they_have(prepared, asked, found):
    with pytest.raises(ValueError, match=f"unknown modality {found}"):
        prepared.open("adni").select(asked)
