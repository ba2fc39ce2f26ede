"""Predictions and metrics."""

import jax
import numpy as np
import pytest
import sklearn.metrics

from masam_jax.methods import parse_method
from masam_jax.training import batches
from masam_jax.training.f1_scores import macro_f1
from masam_jax.training.predictions import Point, Predictions, Predictors, measure
from masam_jax.training.task import Task


@pytest.mark.parametrize("seed", range(5))
def test_macro_f1_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    # Class 4 of 5 never occurs.
    labels, found = rng.integers(0, 4, 30), rng.integers(0, 4, 30)
    expected = sklearn.metrics.f1_score(labels, found, average="macro")
    assert macro_f1(labels, found, 5) == pytest.approx(expected, abs=1e-12)


def test_metrics_are_by_seed():
    labels = np.array([[0, 1, 1, 0]] * 2, np.int32)
    predictions = Predictions(
        labels=labels,
        probabilities=np.eye(2, dtype=np.float32)[[[0, 1, 1, 0], [0, 0, 0, 0]]],
        loss=np.array([[0, 0, 0, 4], [1, 1, 1, 1]], np.float32),
        unimodal={"a": np.eye(2, dtype=np.float32)[[[1, 0, 0, 1], [0, 1, 1, 1]]]},
    )
    metrics = measure(predictions, 2)
    assert metrics["accuracy"].tolist() == [1.0, 0.5]
    assert metrics["fusion_loss"].tolist() == [1.0, 1.0]
    assert metrics["unimodal_accuracy"]["a"].tolist() == [0.0, 0.75]
    assert metrics["macro_f1"].tolist() == pytest.approx([1.0, 1 / 3])


def _predict(problem, rows):
    task = Task(problem, parse_method("late_fusion"))
    return Predictors(problem).of(task)(Point(*problem.initial("concat"), ()), rows)


def test_predictions_are_those_of_the_network(make_problem, small_data):
    problem = make_problem(2)
    rows = problem.indices("test")
    found = _predict(problem, rows)
    for seed in range(2):
        params = jax.tree.map(lambda leaf, s=seed: leaf[s], problem.initial("concat")[0])
        inputs = {}
        for m, features in small_data.features.items():
            train = features[problem.splits[seed].train].astype(np.float64)
            inputs[m] = ((features[rows[seed]] - train.mean(0)) / train.std(0)).astype(np.float32)
        logits, unimodal = problem.network("concat").apply(params, inputs)
        assert np.array_equal(found.fused[seed], np.argmax(logits, -1))
        own = jax.nn.softmax(unimodal["m0"])
        np.testing.assert_allclose(found.unimodal["m0"][seed], own, rtol=1e-4, atol=1e-6)
        whole = jax.nn.softmax(logits)
        np.testing.assert_allclose(found.probabilities[seed], whole, rtol=1e-4, atol=1e-6)
    assert np.array_equal(found.labels, small_data.labels[rows])


def test_large_splits_are_predicted_in_chunks(make_problem, monkeypatch):
    problem = make_problem(2)
    rows = problem.indices("test")
    whole = _predict(problem, rows)
    monkeypatch.setattr(batches, "_CHUNK", 7)
    chunks = _predict(problem, rows)
    assert np.array_equal(chunks.fused, whole.fused)
    assert chunks.loss.shape == whole.loss.shape == rows.shape
    np.testing.assert_allclose(chunks.loss, whole.loss, rtol=1e-5)
