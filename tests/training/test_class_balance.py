"""Weights and turns of classes: in every method's losses, against NumPy, and what is refused."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from masam_jax.config import OptimizationConfig
from masam_jax.methods import parse_method
from masam_jax.training.batches import network_inputs
from masam_jax.training.class_balance import check_classes, class_weights
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import StepInputs, Task

NAMES = ("bird", "cat", "dog")
WEIGHTS = np.array([2, 1, 3])


def test_balanced_weights_are_scikit_learns():
    labels = np.random.default_rng(0).choice(3, (2, 40), p=[0.7, 0.2, 0.1])
    found = class_weights("balanced", labels, NAMES)
    for own, truth in zip(found, labels, strict=True):
        expected = compute_class_weight("balanced", classes=np.arange(3), y=truth)
        np.testing.assert_allclose(own, expected, rtol=1e-6)


def test_a_class_without_samples_weighs_nothing():
    found = class_weights("balanced", np.array([[0, 0, 2]]), NAMES)
    np.testing.assert_allclose(found, [[0.5, 0, 1]])


def test_weights_by_name():
    found = class_weights({"dog": 2.0}, np.zeros((2, 1), int), NAMES)
    assert found.tolist() == [[1, 1, 2], [1, 1, 2]]
    with pytest.raises(ValueError, match="class_weights: unknown class 'dgo'; did you mean 'dog'"):
        class_weights({"dgo": 2.0}, np.zeros((2, 1), int), NAMES)


def _first(tree):
    return jax.tree.map(lambda x: x[0], tree)


def _seen(task):
    """A batch of the first seed as the network sees it, its parameters and objective's state."""
    problem, state = task.problem, init_state(task)
    key = _first(problem.seed_keys)
    scales, batch = _first((problem.statistics, task.batches.at(0)))
    config = problem.experiment.corruption
    batch = network_inputs(config, "train", problem.resident, scales, batch, key)
    return batch, _first(state.params), StepInputs(batch, {}, key, _first(state.method_state))


def test_losses_are_weighted_means(make_problem):
    task = Task(make_problem(1), parse_method("late_fusion"))
    batch, params, step = _seen(task)
    weights = jnp.asarray(WEIGHTS, jnp.float32)
    losses, _, _ = task.value_and_grad()(params, step._replace(class_weights=weights))
    logits, unimodal = task.network.apply(params, batch.inputs)
    for loss, z in [
        (losses.fusion, logits),
        *((losses.unimodal[m], unimodal[m]) for m in unimodal),
    ]:
        z, labels = np.asarray(z, np.float64), np.asarray(batch.labels)
        terms = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]
        expected = np.sum(WEIGHTS[labels] * terms) / np.sum(WEIGHTS[labels])
        np.testing.assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize("spec", ["late_fusion", "unimodal", "g_blend", "pmr", "mla", "aug"])
def test_a_sample_that_weighs_k_is_k_samples(make_problem, spec):
    task = Task(make_problem(1), parse_method(spec))
    batch, params, step = _seen(task)
    repeats = WEIGHTS[np.asarray(batch.labels)]
    more = jax.tree.map(lambda x: jnp.repeat(x, repeats, axis=0), batch)
    value_and_grad = task.value_and_grad(task.phases[0])
    weights = jnp.asarray(WEIGHTS, jnp.float32)
    weighted, gradients, _ = value_and_grad(params, step._replace(class_weights=weights))
    expected, whole, _ = value_and_grad(params, step._replace(batch=more))
    for name in ("fusion", "unimodal"):
        found = getattr(weighted, name), getattr(expected, name)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *found)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), gradients, whole
    )


@pytest.mark.parametrize("further", [{"class_weights": ("balanced",)}, {"sampler": "balanced"}])
@pytest.mark.parametrize("seeds", [1, 2])
def test_runs_of_one_and_of_several_seeds(make_problem, further, seeds):
    task = Task(make_problem(seeds, further=further), parse_method("masam:rho=1"))
    state, step = init_state(task), SeedStep(task)
    for t in range(2):
        state, losses = step(state, task.batches.at(t), t)
    assert np.isfinite(losses.total).all()


def test_batches_of_the_sampler_hold_every_class(make_problem):
    problem = make_problem(2, batch_size=9, further={"sampler": "balanced"})
    for task in (Task(problem, parse_method(spec)) for spec in ("late_fusion", "g_blend")):
        for t in range(3):
            labels = problem.data.labels[task.row_batches[t]]
            assert all((np.bincount(own) == 3).all() for own in labels)
            assert np.isin(task.row_batches[t], task.training_rows["fit"]).all()


@pytest.mark.parametrize("further", [{"class_weights": ("balanced",)}, {"sampler": "balanced"}])
def test_several_labels_have_no_class(further):
    data = types.SimpleNamespace(multi_label=True, is_regression=False, num_classes=4)
    (name,) = further
    with pytest.raises(ValueError, match=f"{name} needs one class for each sample"):
        check_classes(OptimizationConfig(**further), data)


@pytest.mark.parametrize(
    "entries, message",
    [
        (("balance",), "'balance' is neither balanced nor CLASS=NUMBER"),
        (("cat=1", "cat=2"), "names a class twice"),
        (("cat=-1",), r"cat must be a finite number >= 0, got -1.0"),
        (("cat=heavy",), "cat='heavy' is not a number"),
    ],
)
def test_weights_that_cannot_be_meant_are_refused(entries, message):
    with pytest.raises(ValueError, match=message):
        OptimizationConfig(class_weights=entries)
