"""Samples that lack a modality: what is trained on, what methods are told, who refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax import masam, masam_metrics
from masam_jax.config import (
    CorruptionConfig,
    DataConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.config.errors import RunError
from masam_jax.data.batch import Batch
from masam_jax.methods import parse_method
from masam_jax.training.batches import network_inputs
from masam_jax.training.corruption import still_present
from masam_jax.training.plan import plan_training
from masam_jax.training.schedule_probe import TrainingProbe
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import StepInputs, Task
from tests.training.stateful import stateful_problem, vectors

ROWS = 60
PRESENT = {"a": np.arange(ROWS) % 3 > 0, "b": np.arange(ROWS) % 5 > 0}
PLAIN = ModelConfig(width=5, depth=1)


@pytest.fixture(scope="module")
def problem():
    with jax.numpy_dtype_promotion("standard"):
        return stateful_problem(1, data=vectors(present=PRESENT), model=PLAIN)


@pytest.fixture(scope="module")
def value_and_grad(problem):
    """Of the first seed: ``(batch) -> (losses, grads, signals)``, without what cannot be output."""
    task = Task(problem, parse_method("late_fusion"))
    params = jax.tree.map(lambda x: x[0], problem.initial("concat")[0])

    def run(batch):
        step = StepInputs(batch, {}, jax.random.PRNGKey(0), ())
        losses, grads, signals = task.value_and_grad()(params, step)
        return losses, grads, {k: v for k, v in signals.items() if not callable(v)}

    return params, jax.jit(run)


def _batch(problem, present=None):
    """Twelve training rows of the first seed as the network sees them."""
    task = Task(problem, parse_method("late_fusion"))
    batch = jax.tree.map(lambda x: x[0], task.batches.at(0))
    scales = jax.tree.map(lambda x: x[0], problem.statistics)
    if present is not None:
        batch = batch._replace(present=present)
    config = problem.experiment.corruption
    return network_inputs(config, "train", problem.resident, scales, batch, jax.random.PRNGKey(0))


def test_batches_say_who_has_what(problem):
    batch = Task(problem, parse_method("late_fusion")).batches.at(0)
    rows = np.asarray(batch.rows)
    for m, has in PRESENT.items():
        np.testing.assert_array_equal(batch.present[m], has[rows])
    inputs = _batch(problem).inputs
    for m, has in PRESENT.items():
        assert not inputs[m][~has[rows[0]]].any()
        assert np.abs(inputs[m][has[rows[0]]]).min() > 0


def test_statistics_are_of_those_that_have_it(problem):
    train = problem.splits[0].train
    for m, has in PRESENT.items():
        rows = train[has[train]]
        values = problem.data.features[m][rows].astype(np.float64)
        mean, std = problem.host_statistics[m]
        np.testing.assert_allclose(mean[0], values.mean(0), rtol=1e-5)
        np.testing.assert_allclose(std[0], values.std(0), rtol=1e-5)


def test_unimodal_losses_are_means_over_those_that_have_it(problem, value_and_grad):
    params, run = value_and_grad
    batch = _batch(problem)
    losses, _, signals = run(batch)
    logits, unimodal = problem.network("concat").apply(params, batch.inputs)

    def each(logits):
        wide = np.asarray(logits, np.float64)
        log_p = wide - np.log(np.exp(wide).sum(1, keepdims=True))
        return -log_p[np.arange(len(wide)), np.asarray(batch.labels)]

    np.testing.assert_allclose(losses.fusion, each(logits).mean(), rtol=1e-5)
    for m in "ab":
        has = np.asarray(batch.present[m])
        assert 0 < has.sum() < len(has)
        np.testing.assert_allclose(losses.unimodal[m], each(unimodal[m])[has].mean(), rtol=1e-5)
        assert signals["present"][m]
    np.testing.assert_allclose(
        losses.total, losses.fusion + sum(losses.unimodal.values()), rtol=1e-5
    )


def test_a_modality_that_no_sample_has_is_never_dominant(problem, value_and_grad):
    params, run = value_and_grad
    there, nowhere = jnp.ones(12, bool), jnp.zeros(12, bool)
    network = problem.network("concat")
    tx = masam(network.labels, rho=0.1)
    for absent, dominant in (("a", "b"), ("b", "a")):
        present = {"a": there, "b": there, absent: nowhere}
        losses, grads, signals = run(_batch(problem, present))
        assert float(losses.unimodal[absent]) == 0
        assert {m: bool(has) for m, has in signals["present"].items()} == {
            absent: False,
            dominant: True,
        }
        norm = sum(float(jnp.abs(x).sum()) for x in jax.tree.leaves(grads["heads"][absent]))
        assert norm == 0
        further = {"fusion_grad_fn": lambda point, m=None, g=grads: g}
        _, state = tx.update(grads, tx.init(params), params, **signals, **further)
        assert masam_metrics(state)["dominant"] == dominant


def test_nothing_is_said_where_nothing_lacks(value_and_grad):
    complete = stateful_problem(1, model=PLAIN)
    batch = _batch(complete)
    assert batch.present == {}
    _, _, signals = value_and_grad[1](Batch(batch.inputs, {}, batch.labels))
    assert "present" not in signals


def test_probes_average_over_those_that_have_it(problem):
    task = Task(problem, parse_method("g_blend:held_out=0.25"))
    state = init_state(task)
    probe = TrainingProbe(task, SeedStep(task)).at(state, 0)
    found = probe.losses(state.params, "fit")
    params = jax.tree.map(lambda x: x[0], jax.device_get(state.params))
    rows = task.training_rows["fit"][0]
    inputs = {}
    for m, features in problem.data.features.items():
        mean, std = (part[0] for part in problem.host_statistics[m])
        inputs[m] = jnp.asarray(np.where(PRESENT[m][rows, None], (features[rows] - mean) / std, 0))
    logits, unimodal = problem.network("concat").apply(params, inputs)
    labels = problem.data.labels[rows]
    for name, z in (("fusion", logits), *unimodal.items()):
        wide = np.asarray(z, np.float64)
        losses = np.log(np.exp(wide).sum(1)) - wide[np.arange(len(rows)), labels]
        counts = PRESENT[name][rows] if name in PRESENT else np.ones(len(rows), bool)
        np.testing.assert_allclose(found[name], [losses[counts].mean()], rtol=1e-4)
    broken = jax.tree.map(lambda x: x * jnp.nan, state.params)
    assert all(np.isnan(loss).all() for loss in probe.losses(broken, "fit").values())


def _plan(method, corruption):
    experiment = Experiment(
        data=DataConfig("synthetic:samples=200", 24, 40, 40),
        model=PLAIN,
        optimization=OptimizationConfig(steps=2, batch_size=6),
        seeds=SeedConfig(1),
        corruption=corruption,
    )
    return plan_training(parse_method(method), experiment)


@pytest.mark.parametrize("method", ["pmr", "aug"])
def test_methods_that_need_complete_samples_refuse_before_training(method):
    message = f"method '{method}': it does not take samples that lack a modality"
    for where in ("train", "all"):
        with pytest.raises(RunError, match=message):
            _plan(method, CorruptionConfig(missing=0.3, missing_in=where))
    # At test time nothing is trained.
    plan = _plan(method, CorruptionConfig(missing=0.3, missing_in="test"))
    assert plan.problem.lacks("test")
    assert not plan.problem.lacks("train")


def test_what_rows_had_is_what_the_configuration_can_take():
    own = {"a": np.array([1, 1, 0, 1], bool), "b": np.array([1, 0, 1, 1], bool)}
    asked = {"a": np.array([0, 0, 1, 1], bool), "b": np.array([1, 1, 0, 1], bool)}
    left = still_present(CorruptionConfig(missing=0.5), "train", asked, own)
    # Rows 1 and 2 would be left with nothing, and keep the one that they had.
    np.testing.assert_array_equal(left["a"], [0, 1, 0, 1])
    np.testing.assert_array_equal(left["b"], [1, 0, 1, 1])
    whole = CorruptionConfig(missing_at_test=("a",))
    asked["a"] = np.zeros(4, bool)
    np.testing.assert_array_equal(still_present(whole, "test", asked, own)["a"], [0] * 4)
    np.testing.assert_array_equal(still_present(whole, "test", asked, own)["b"], [1, 0, 1, 1])
    for nothing in ({}, own):
        assert still_present(CorruptionConfig(), "train", nothing, {}) == nothing
        assert still_present(CorruptionConfig(), "train", {}, nothing) == nothing
