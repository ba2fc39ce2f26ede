"""What became of the encoders of a case: of trained networks, small ones."""

import jax
import numpy as np
import pytest

from experiments.paper import PlannedRun, Scale
from experiments.study_encoders import encoder_table
from experiments.study_measurements import Place, measure_case
from experiments.study_methods import ALONE, FACTORS, FUSION_ALONE, LATE_FUSION, RECOMMENDED
from masam_jax.analysis import paired_test
from masam_jax.geometry.of_runs import open_losses
from tests.experiments.fake_runs import trained_run

DATA = "synthetic:samples=200"
OPTIONS = {"train_size": 60, "validation_size": 20, "test_size": 60, "batch_size": 30, "width": 2}
TRAINED = {
    LATE_FUSION: "late_fusion",
    FUSION_ALONE: "fusion_only",
    RECOMMENDED: "masam:rho=1",
    ALONE: "unimodal",
}
# What nobody trained here stands for what was.
METHODS = TRAINED | dict.fromkeys(FACTORS, "masam:rho=1")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    scale = Scale(seeds=2, steps=20)
    planned = PlannedRun(DATA, "study-both", METHODS, {**scale.options(DATA), **OPTIONS})
    return trained_run(tmp_path_factory.mktemp("encoders"), planned, scale)


@pytest.fixture(scope="module")
def case(run):
    return measure_case(run)


def test_scores_probes_and_heads_are_compared_seed_by_seed(run, case):
    table = encoder_table(case)
    assert table.title == "Encoders, synthetic:samples=200, both"
    rows = {row[0].text: row[1:] for row in table.rows}
    assert set(rows) == {FUSION_ALONE, RECOMMENDED, ALONE, "choice: score", "head not corrected"}
    for name, cells in rows.items():
        ours, late = (run.method(n).result["test"] for n in (name, LATE_FUSION))
        for cell, key in zip(cells[1:], ("probe_accuracy", "unimodal_accuracy"), strict=False):
            means = [np.mean(list(of[key].values()), axis=0) for of in (ours, late)]
            expected = paired_test(*map(list, means)).mean_difference
            assert cell.numbers["mean"] == pytest.approx(expected)
    # Modalities alone share no fusion loss.
    assert rows[ALONE][3].text == "—"
    assert rows[RECOMMENDED][3].numbers["ratio"] > 0


def test_sharpness_is_the_rise_along_each_encoders_gradient(run, case):
    found = case.values[Place(RECOMMENDED, "sharpness")]
    losses = open_losses(run.record.path, METHODS[RECOMMENDED], split="train")
    loss = losses.loss("fusion")
    for seed, value in zip(losses.seeds, found, strict=True):
        params, batches = losses.of_seed(seed)
        (batch,) = batches
        clean, gradient = jax.value_and_grad(loss)(params, batch)
        rises = []
        for m in losses.modalities:
            own = [jax.tree.leaves(tree["encoders"][m]) for tree in (params, gradient)]
            theta, grad = (np.sqrt(sum(np.sum(np.square(x)) for x in leaves)) for leaves in own)
            moved = jax.tree.map(lambda x, g, k=0.05 * theta / grad: x + k * g, params, gradient)
            encoders = {**params["encoders"], m: moved["encoders"][m]}
            rises.append(loss({**params, "encoders": encoders}, batch) - clean)
        assert value == pytest.approx(np.exp(np.mean(np.log(rises))), rel=1e-3)
