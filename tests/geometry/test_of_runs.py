"""Losses of saved runs: what ``masam evaluate`` says of the same samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.config import (
    CorruptionConfig,
    DataConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.config.errors import RunError
from masam_jax.geometry.of_runs import open_losses
from masam_jax.training.evaluate import evaluate_run
from tests.promotion import standard_promotion  # noqa: F401 - a fixture
from tests.saved_runs import save_run

SYNTHETIC = "synthetic:dominance=2/1,num_classes=3,samples=120"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Two methods, batch normalisation and dropout, wrong labels; 40 training samples."""
    experiment = Experiment(
        data=DataConfig(SYNTHETIC, 40, 20, 20),
        corruption=CorruptionConfig(label_noise=0.5),
        model=ModelConfig(width=4, depth=2, dropout=0.3, encoders=("m0=ffn",)),
        optimization=OptimizationConfig(steps=4, batch_size=8),
        seeds=SeedConfig(2, 5),
        evaluation=EvaluationConfig(report="best"),
    )
    place = tmp_path_factory.mktemp("saved") / "run"
    return save_run(place, ["late_fusion:weight=0.25", "unimodal"], experiment)


@pytest.mark.parametrize("method", ["late_fusion:weight=0.25", "unimodal"])
def test_losses_are_those_of_an_evaluation(saved, method):
    evaluation = next(e for e in evaluate_run(saved, "test", None) if e.method.spec == method)
    found, run = evaluation.predictions, open_losses(saved, method, split="test")
    assert run.seeds == (5, 6)
    assert run.modalities == ("m0", "m1")
    labels, own = found.labels, {}
    for place, seed in enumerate(run.seeds):
        params, (batch,) = run.of_seed(seed)
        for m in run.modalities:
            chosen = np.take_along_axis(found.unimodal[m][place], labels[place][:, None], axis=1)
            own[m] = -np.log(chosen).mean()
            np.testing.assert_allclose(run.loss(m)(params, batch), own[m], rtol=1e-5)
        fusion = found.loss[place].mean()
        np.testing.assert_allclose(run.loss()(params, batch), fusion, rtol=1e-5)
        weight = 0.25 if method != "unimodal" else 1.0
        total = fusion + weight * sum(own.values())
        np.testing.assert_allclose(run.loss("total")(params, batch), total, rtol=1e-5)
        right = np.mean(found.fused[place] == labels[place])
        assert float(run.accuracy(params, batch)) == pytest.approx(right)


def test_all_seeds_in_one_call(saved):
    run = open_losses(saved, "unimodal", split="validation", batch_size=8)
    params, batches = run.of_all_seeds
    # As few batches as 8 allows, of one size; two samples are left out.
    assert [batch.batch.labels.shape for batch in batches] == [(2, 6)] * 3
    together = jax.vmap(run.loss("m1"))(params, batches[1])
    each = [run.loss("m1")(*_of(run, seed, 1)) for seed in run.seeds]
    np.testing.assert_allclose(together, each, rtol=1e-5)


def _of(run, seed, number):
    params, batches = run.of_seed(seed)
    return params, batches[number]


def test_training_samples_have_the_labels_that_were_trained_on(saved):
    run = open_losses(saved, "unimodal", checkpoint="last")
    clean, params = 0, run.of_all_seeds.params
    (evaluation, _) = evaluate_run(saved, "train", "last")
    truth = {
        (seed, row): label
        for seed in range(2)
        for row, label in zip(
            evaluation.rows[seed], evaluation.predictions.labels[seed], strict=True
        )
    }
    (batch,) = run.of_all_seeds.batches
    for seed in range(2):
        rows = np.asarray(batch.batch.rows[seed])
        assert sorted(rows) == sorted(evaluation.rows[seed])
        expected = np.array([truth[seed, row] for row in rows])
        clean += np.mean(expected == np.asarray(batch.batch.labels[seed])) / 2
    assert clean == pytest.approx(0.5, abs=0.05)
    features = run.features("m0")(jax.tree.map(lambda x: x[0], params), _first(batch))
    assert features.shape == (40, 4)


def _first(batch):
    return jax.tree.map(lambda x: x[0], batch)


def test_a_subset_is_the_same_at_every_call(saved):
    first, again = (open_losses(saved, "unimodal", samples=10) for _ in range(2))
    rows = [run.of_all_seeds.batches[0].batch.rows for run in (first, again)]
    assert rows[0].shape == (2, 10)
    assert jnp.array_equal(*rows)
    assert first.loss("total") is first.loss("total")


def test_labels_name_the_encoders(saved):
    run = open_losses(saved, "unimodal", samples=10)
    labels = run.labels(run.of_seed(6).params)
    assert set(jax.tree.leaves(labels["encoders"]["m1"])) == {"m1"}
    assert set(jax.tree.leaves(labels["fusion"])) == {"other"}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"split": "tests"}, "split must be one of"),
        ({"samples": 41}, "samples=41: there are 40 train samples"),
        ({"samples": 0}, "samples must be an integer >= 1"),
        ({"checkpoint": "first"}, "checkpoint must be one of"),
    ],
)
def test_mistakes_at_the_door(saved, options, message):
    with pytest.raises(RunError, match=message):
        open_losses(saved, "unimodal", **options)


def test_an_unknown_loss_or_seed(saved):
    run = open_losses(saved, "unimodal", samples=10)
    with pytest.raises(RunError, match="which must be one of"):
        run.loss("m2")
    with pytest.raises(RunError, match="modality must be one of"):
        run.features("m2")
    with pytest.raises(RunError, match="seed=0 is none of the run's: 5, 6"):
        run.of_seed(0)
