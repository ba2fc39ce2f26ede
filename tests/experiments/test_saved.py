"""Trained networks, asked again: under other test conditions, and how flat their losses are."""

import jax
import numpy as np
import pytest

from experiments import flatness
from experiments.paper import PlannedRun, Scale
from experiments.saved import measured, opened, point_of, scores_under
from masam_jax.training.linear_probes import LinearProbes
from masam_jax.training.storage.atomic_files import read_json
from tests.experiments.fake_runs import trained_run

DATA = "synthetic:case=xor,samples=300"
OPTIONS = {"train_size": 100, "validation_size": 20, "test_size": 150, "width": 2, "fusion": "film"}
METHODS = {"late fusion": "late_fusion", "own": "masam:rho=1"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    scale = Scale(seeds=2, steps=30)
    planned = PlannedRun(DATA, "both", METHODS, {**scale.options(DATA), **OPTIONS})
    return trained_run(tmp_path_factory.mktemp("saved"), planned, scale)


def test_without_a_change_the_scores_are_the_runs(run):
    found = scores_under(run, list(METHODS), {"clean": {}})
    for name in METHODS:
        assert found["clean"][name] == pytest.approx(run.scores(name))


def test_conditions_reach_the_networks(run):
    conditions = {
        "without m0": {"missing_at_test": ("m0",)},
        "noise": {"input_noise": -60.0, "input_noise_in": "test"},
    }
    found = scores_under(run, ["late fusion"], conditions)
    clean = np.mean(run.scores("late fusion"))
    for condition in conditions:
        # Of two classes, and one modality says nothing.
        assert np.mean(found[condition]["late fusion"]) < min(0.65, clean)


def test_measurements_are_kept(run):
    asked = []
    for _ in range(2):
        found = measured(run, "numbers", lambda: asked.append(1) or {"x": np.float32([1, 2])})
    assert found == {"x": [1.0, 2.0]}
    assert asked == [1]
    assert read_json(run.record.path / "measured" / "numbers.json") == found


def test_points_are_those_that_were_probed(run):
    found = LinearProbes(opened(run)).scores(point_of(run, "own"), "test")
    for m, scores in found.items():
        recorded = run.method("own").result["test"]["probe_accuracy"][m]
        np.testing.assert_allclose(scores, recorded, atol=0.02)


@pytest.mark.parametrize("which", ["test", "own"])
def test_flatness_is_that_of_the_loss(run, which):
    found = flatness._measure(run, "late fusion", which)
    assert set(found) == {*flatness.QUANTITIES, "norm", "loss"}
    for m in ("m0", "m1"):
        encoder = jax.tree.leaves(point_of(run, "late fusion").params["encoders"][m])
        norms = np.sqrt(sum(np.square(np.asarray(x)).reshape(2, -1).sum(axis=1) for x in encoder))
        np.testing.assert_allclose(found["norm"][m], norms, rtol=1e-5)
        expected = np.multiply(found["trace"][m], np.square(norms))
        np.testing.assert_allclose(found["relative"][m], expected, rtol=1e-5)
        assert np.isfinite(found["sharpness"][m]).all()
    assert found["loss"]["m0"] == found["loss"]["m1"]
