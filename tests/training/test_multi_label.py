"""Samples with several labels, each zero or one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from masam_jax.config import ModelConfig
from masam_jax.core.losses import cross_entropy, sample_cross_entropy
from masam_jax.methods import method_names, parse_method
from masam_jax.models.method_signals import batch_signals
from masam_jax.training.batches import network_inputs
from masam_jax.training.predictions import Predictions, measure
from masam_jax.training.state import abstract_state
from masam_jax.training.task import StepInputs, Task
from tests.training.stateful import stateful_problem, vectors
from tests.training.traced_steps import traced_step

ONE_CLASS = ("aug", "mla", "pmr")
SEEDS, ROWS, LABELS = 2, 30, 3


@pytest.fixture(scope="module")
def problem():
    with jax.numpy_dtype_promotion("standard"):
        return stateful_problem(
            SEEDS, data=vectors(multi_label=True), model=ModelConfig(width=5, depth=1)
        )


def _binary_cross_entropy(logits, labels):
    """By entry, float64."""
    ones = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    return -np.where(np.asarray(labels) > 0, np.log(ones), np.log1p(-ones))


def test_losses_are_means_over_labels_then_samples():
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(0, 3, (ROWS, LABELS)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 2, (ROWS, LABELS)), jnp.int32)
    each = _binary_cross_entropy(logits, labels).mean(axis=1)
    np.testing.assert_allclose(sample_cross_entropy(logits, labels), each, rtol=1e-5)
    np.testing.assert_allclose(cross_entropy(logits, labels), each.mean(), rtol=1e-5)
    where = np.arange(ROWS) % 4 == 1
    found = cross_entropy(logits, labels, jnp.asarray(where))
    np.testing.assert_allclose(found, each[where].mean(), rtol=1e-5)
    assert float(cross_entropy(logits, labels, jnp.zeros(ROWS, bool))) == 0
    huge = jnp.full((1, 1), 200.0)
    np.testing.assert_allclose(cross_entropy(huge, jnp.zeros((1, 1), jnp.int32)), 200)
    half = sample_cross_entropy(logits.astype(jnp.bfloat16), labels)
    assert half.dtype == jnp.float32


def test_what_is_missing_leaves_no_gradient():
    logits = jnp.asarray([[1.0, -2.0], [jnp.nan, 3.0]])
    labels, where = jnp.array([[1, 0], [0, 1]]), jnp.array([True, False])
    grad = jax.grad(lambda z: cross_entropy(z, labels, where))(logits)
    assert not np.asarray(grad[1]).any()
    assert np.isfinite(grad).all()


def test_a_batch_has_the_losses_the_accuracy_and_the_confidence_of_its_logits(problem):
    task = Task(problem, parse_method("ogm_ge"))
    params = jax.tree.map(lambda x: x[0], problem.initial(task.fusion)[0])
    batch = jax.tree.map(lambda x: x[0], task.batches.at(0))
    scales = jax.tree.map(lambda x: x[0], problem.statistics)
    key = jax.random.PRNGKey(0)
    seen = network_inputs(
        problem.experiment.corruption, "train", problem.resident, scales, batch, key
    )
    assert seen.labels.shape == (12, LABELS)
    run = jax.jit(lambda p: task.value_and_grad()(p, StepInputs(seen, {}, key, ()))[0])
    losses = run(params)
    logits, unimodal = task.network.apply(params, seen.inputs)
    np.testing.assert_allclose(
        losses.fusion, _binary_cross_entropy(logits, seen.labels).mean(), rtol=1e-5
    )
    for m, z in unimodal.items():
        expected = _binary_cross_entropy(z, seen.labels).mean()
        np.testing.assert_allclose(losses.unimodal[m], expected, rtol=1e-5)
    hits = (np.asarray(logits) >= 0) == (np.asarray(seen.labels) > 0)
    np.testing.assert_allclose(losses.aux.accuracy, hits.mean(), rtol=1e-6)
    features = {m: task.network.encode(params, m, seen.inputs[m]) for m in "ab"}
    parts = task.network.modality_logits(params, features)
    for m, z in parts.items():
        # The mean probability of the true values of a sample, summed over samples.
        expected = np.exp(-_binary_cross_entropy(z, seen.labels)).mean(axis=1).sum()
        found = losses.aux.signals["confidence"][m]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        own = batch_signals(
            ("confidence",), task.network, params, features, seen.inputs, seen.labels
        )
        np.testing.assert_allclose(own["confidence"][m], expected, rtol=1e-5)


def _predictions(labels):
    rng = np.random.default_rng(3)
    shape = (SEEDS, ROWS, LABELS)
    return Predictions(
        labels=labels,
        probabilities=rng.random(shape).astype(np.float32),
        loss=rng.random(shape[:2]).astype(np.float32),
        unimodal={m: rng.random(shape).astype(np.float32) for m in "ab"},
    )


def test_predictions_are_measured_in_the_metric_of_the_data():
    labels = np.random.default_rng(1).integers(0, 2, (SEEDS, ROWS, LABELS)).astype(np.int32)
    found = _predictions(labels)
    np.testing.assert_array_equal(found.fused, found.probabilities >= 0.5)
    measured = measure(found, LABELS, "auprc")
    assert set(measured) == {
        *("accuracy", "balanced_accuracy", "macro_f1", "micro_f1", "weighted_f1"),
        *("fusion_loss", "unimodal_accuracy"),
        *("auprc", "unimodal_auprc"),
    }
    for seed in range(SEEDS):
        truth, scores = labels[seed], found.probabilities[seed]
        expected = sklearn.metrics.average_precision_score(truth, scores, average="macro")
        assert measured["auprc"][seed] == pytest.approx(expected)
        expected = sklearn.metrics.f1_score(truth, scores >= 0.5, average="macro")
        assert measured["macro_f1"][seed] == pytest.approx(expected)
        assert measured["accuracy"][seed] == pytest.approx(np.mean((scores >= 0.5) == truth))
        for m, own in found.unimodal.items():
            expected = sklearn.metrics.average_precision_score(truth, own[seed], average="macro")
            assert measured["unimodal_auprc"][m][seed] == pytest.approx(expected)
            right = np.mean((own[seed] >= 0.5) == truth)
            assert measured["unimodal_accuracy"][m][seed] == pytest.approx(right)


@pytest.mark.parametrize("method", ONE_CLASS)
def test_methods_of_one_class_refuse_by_name(problem, method):
    message = f"{method} needs one class for each sample; these data have 3 labels"
    with pytest.raises(ValueError, match=message):
        abstract_state(Task(problem, parse_method(method)))


@pytest.mark.parametrize("method", [name for name in method_names() if name not in ONE_CLASS])
def test_every_other_method_trains_and_predicts(problem, method):
    """Traced, not run: a step leaves a state of the same form, so that another may follow."""
    task = Task(problem, parse_method(method))
    state, losses = traced_step(task)
    assert losses.total.shape == losses.aux.accuracy.shape == (SEEDS,)
    inputs = {m: jnp.zeros((4, *spec.shape)) for m, spec in problem.data.modality_specs.items()}
    logits, unimodal = jax.eval_shape(
        jax.vmap(task.predict, in_axes=(0, 0, 0, None)),
        *(state.params, state.statistics, state.method_state, inputs),
    )
    assert logits.shape == (SEEDS, 4, LABELS)
    assert {z.shape for z in unimodal.values()} == {(SEEDS, 4, LABELS)}
