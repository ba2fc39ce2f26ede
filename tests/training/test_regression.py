"""Targets of regression: losses, scale, metrics, and methods that need classes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from masam_jax.config import CorruptionConfig, ModelConfig, OptimizationConfig
from masam_jax.config.errors import RunError
from masam_jax.core.target_losses import target_loss
from masam_jax.data import MultimodalData
from masam_jax.methods import method_names, parse_method
from masam_jax.training.batches import network_inputs
from masam_jax.training.class_balance import check_classes
from masam_jax.training.estimates import Estimates, measure_estimates
from masam_jax.training.predictions import Point, Predictors
from masam_jax.training.state import abstract_state
from masam_jax.training.target_scale import (
    TargetScale,
    read_target_scale,
    target_scale,
    write_target_scale,
)
from masam_jax.training.task import StepInputs, Task
from tests.training.stateful import stateful_problem, vectors
from tests.training.traced_steps import traced_step

NEED_CLASSES = ("agm", "aug", "info_reg", "mla", "ogm_ge", "pmr")
SEEDS, ROWS = 2, 60


def targets(rows=ROWS, count=1):
    """Modalities a and b, and what they say together, about 1000 and 40 apart."""
    rng = np.random.default_rng(1)
    features = {m: rng.normal(size=(rows, 3)).astype(np.float32) for m in "ab"}
    weights = {m: rng.normal(size=(3, count)) for m in "ab"}
    each = [features[m].astype(float) @ weights[m] for m in "ab"]
    return MultimodalData("numbers", features, 1000 + 40 * sum(each), task="regression")


@pytest.fixture(scope="module")
def problem():
    with jax.numpy_dtype_promotion("standard"):
        return stateful_problem(SEEDS, data=targets(), model=ModelConfig(width=5, depth=1))


@pytest.mark.parametrize("error", ["squared", "absolute"])
def test_losses_are_means_over_targets(error):
    rng = np.random.default_rng(0)
    outputs, truth = rng.normal(0, 3, (2, ROWS, 4))
    missed = np.abs(outputs - truth) ** (2 if error == "squared" else 1)
    found = target_loss(error)(jnp.asarray(outputs, jnp.float32), jnp.asarray(truth, jnp.float32))
    np.testing.assert_allclose(found, missed.mean(axis=1), rtol=1e-5)
    low = target_loss(error)(jnp.ones((2, 1), jnp.bfloat16), jnp.zeros((2, 1), jnp.float32))
    assert low.dtype == jnp.float32


def test_an_unknown_error_is_refused():
    with pytest.raises(ValueError, match=r"regression_loss must be one of \['squared', 'absolute'"):
        target_loss("huber")


def test_data_keep_targets_in_their_own_units():
    data = MultimodalData({"a": np.eye(3)}, [1, 2.5, 1e9 + 0.5], task="regression")
    assert data.labels.tolist() == [[1], [2.5], [1e9 + 0.5]]
    assert (data.is_regression, data.multi_label, data.metric) == (True, False, "r2")
    assert (data.num_classes, data.class_names) == (1, ("target",))
    assert "1 target" in repr(data)
    two = targets(count=2)
    assert (two.num_classes, two.class_names) == (2, ("0", "1"))
    assert two.select("a").labels is not None
    assert two.select("a").is_regression
    assert two.digest() != targets().digest()
    whole = data.labels.astype(int)
    assert MultimodalData({"a": np.eye(3)}, whole, task="regression").labels.dtype == np.float64


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", "b", "c"], "no numbers, which regression needs"),
        ([1, 2, float("nan")], "row 2 holds nan"),
        ([1, float("inf"), 3], "row 1 holds inf"),
        (np.zeros((3, 2, 2)), r"shape \(3, 2, 2\); regression needs numbers"),
    ],
)
def test_what_is_no_target_is_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        MultimodalData({"a": np.eye(3)}, labels, task="regression")


def test_other_metrics_and_tasks_are_refused():
    with pytest.raises(ValueError, match="regression is measured in 'r2'"):
        MultimodalData({"a": np.eye(3)}, [1, 2, 3], task="regression", metric="accuracy")
    with pytest.raises(ValueError, match="task must be one of"):
        MultimodalData({"a": np.eye(3)}, [1, 2, 3], task="ranking")


def test_parts_are_drawn_without_strata():
    split = targets().split(seed=0)
    assert sorted(np.concatenate(split).tolist()) == list(range(ROWS))


def test_targets_are_standardised_by_the_training_rows_of_each_seed(problem, tmp_path):
    labels, train = problem.data.labels, problem.indices("train")
    mean, std = labels[train].mean(axis=1), labels[train].std(axis=1)
    expected = (labels[None] - mean[:, None]) / std[:, None]
    np.testing.assert_allclose(problem.train_labels, expected, rtol=1e-5, atol=1e-6)
    assert problem.train_labels.dtype == np.float32
    rows = problem.indices("test")
    truth = problem.true_labels(rows)
    np.testing.assert_allclose(problem.targets.in_units(truth), labels[rows], rtol=1e-5)
    write_target_scale(tmp_path, problem.targets)
    for found, written in zip(read_target_scale(tmp_path), problem.targets, strict=True):
        np.testing.assert_array_equal(found, written)


def test_one_target_for_all_training_rows_is_refused():
    with pytest.raises(ValueError, match="all 2 training samples have the target 7"):
        target_scale(np.array([[7.0], [7.0], [8.0]]), np.array([[0, 1]]))


def test_a_batch_has_the_losses_of_standardised_targets(problem):
    task = Task(problem, parse_method("masam"))
    params = jax.tree.map(lambda x: x[0], problem.initial(task.fusion)[0])
    batch, scales = (
        jax.tree.map(lambda x: x[0], t) for t in (task.batches.at(0), problem.statistics)
    )
    key = jax.random.PRNGKey(0)
    seen = network_inputs(CorruptionConfig(), "train", problem.resident, scales, batch, key)
    losses = jax.jit(lambda p: task.value_and_grad()(p, StepInputs(seen, {}, key, ()))[0])(params)
    outputs, unimodal = task.network.apply(params, seen.inputs)
    train = problem.indices("train")[0]
    own = problem.data.labels[np.asarray(seen.rows)]
    truth = (own - problem.data.labels[train].mean()) / problem.data.labels[train].std()
    expected = {
        k: np.mean((np.asarray(z, np.float64) - truth) ** 2)
        for k, z in {"fusion": outputs, **unimodal}.items()
    }
    np.testing.assert_allclose(losses.fusion, expected.pop("fusion"), rtol=1e-4)
    for m, loss in expected.items():
        np.testing.assert_allclose(losses.unimodal[m], loss, rtol=1e-4)
    assert losses.aux.accuracy is None


def test_estimates_are_in_the_units_of_the_targets(problem):
    task = Task(problem, parse_method("late_fusion"))
    params, statistics = problem.initial(task.fusion)
    rows = problem.indices("test")
    found = Predictors(problem).of(task)(Point(params, statistics, ()), rows)
    np.testing.assert_array_equal(found.labels, problem.data.labels[rows])
    for seed in range(SEEDS):
        one = jax.tree.map(lambda x, s=seed: x[s], params)
        scales = problem.host_statistics
        inputs = {
            m: jnp.asarray((x[rows[seed]] - scales[m][0][seed]) / scales[m][1][seed])
            for m, x in problem.data.features.items()
        }
        outputs, unimodal = task.network.apply(one, inputs)
        train = problem.data.labels[problem.indices("train")[seed]]
        mean, std = train.mean(), train.std()
        np.testing.assert_allclose(found.values[seed], np.asarray(outputs) * std + mean, rtol=1e-5)
        np.testing.assert_allclose(
            found.loss[seed],
            ((found.values[seed] - found.labels[seed]) ** 2 / std**2)[:, 0],
            rtol=1e-3,
            atol=1e-5,
        )
        for m, z in unimodal.items():
            np.testing.assert_allclose(
                found.unimodal[m][seed], np.asarray(z) * std + mean, rtol=1e-5
            )


def test_metrics_are_those_of_scikit_learn():
    rng = np.random.default_rng(3)
    truth, values, alone = rng.normal(5, 2, (3, SEEDS, ROWS, 2))
    values = truth + 0.5 * values
    found = measure_estimates(Estimates(truth, values, np.ones((SEEDS, ROWS)), {"a": alone}))
    assert set(found) == {"r2", "mae", "rmse", "fusion_loss", "unimodal_r2"}
    for seed in range(SEEDS):
        both = truth[seed], values[seed]
        assert found["r2"][seed] == pytest.approx(sklearn.metrics.r2_score(*both))
        assert found["mae"][seed] == pytest.approx(sklearn.metrics.mean_absolute_error(*both))
        mean_squared = sklearn.metrics.mean_squared_error(truth[seed].ravel(), values[seed].ravel())
        assert found["rmse"][seed] == pytest.approx(np.sqrt(mean_squared))
        own = sklearn.metrics.r2_score(truth[seed], alone[seed])
        assert found["unimodal_r2"]["a"][seed] == pytest.approx(own)


def test_r2_is_not_defined_for_one_value_nor_for_estimates_that_are_not_finite():
    ones = np.ones((1, 3, 1))
    for truth, values in [(ones, ones), (ones.cumsum(axis=1), ones * np.nan)]:
        found = measure_estimates(Estimates(truth, values, ones[..., 0], {}))
        assert np.isnan(found["r2"]).all()


@pytest.mark.parametrize("method", NEED_CLASSES)
def test_methods_that_need_class_probabilities_say_so(problem, method):
    task = Task(problem, parse_method(method))
    with pytest.raises(ValueError, match="needs class probabilities; these data are for reg"):
        abstract_state(task), task.check()


@pytest.mark.parametrize("method", [name for name in method_names() if name not in NEED_CLASSES])
def test_every_other_method_trains_and_predicts(problem, method):
    """Traced, not run: a step leaves a state of the same form, so that another may follow."""
    task = Task(problem, parse_method(method))
    state, losses = traced_step(task)
    assert losses.total.shape == (SEEDS,)
    inputs = {m: jnp.zeros((4, *spec.shape)) for m, spec in problem.data.modality_specs.items()}
    outputs, unimodal = jax.eval_shape(
        jax.vmap(task.predict, in_axes=(0, 0, 0, None)),
        *(state.params, state.statistics, state.method_state, inputs),
    )
    assert {z.shape for z in (outputs, *unimodal.values())} == {(SEEDS, 4, 1)}


@pytest.mark.parametrize(
    ("config", "data", "message"),
    [
        (
            {"sampler": "balanced"},
            targets(),
            "sampler needs classes; these data are for",
        ),
        ({"class_weights": ("balanced",)}, targets(), "class_weights needs classes"),
        (
            {"regression_loss": "absolute"},
            vectors(),
            "is for regression; these data have 3",
        ),
    ],
)
def test_settings_of_other_labels_are_refused(config, data, message):
    with pytest.raises(ValueError, match=message):
        check_classes(OptimizationConfig(**config), data)


def test_label_noise_needs_classes_and_fewer_labels_do_not():
    with pytest.raises(ValueError, match="label_noise needs classes; these data are for regr"):
        stateful_problem(data=targets(), corruption=CorruptionConfig(label_noise=0.2))
    fewer = stateful_problem(data=targets(), corruption=CorruptionConfig(label_fraction=0.5))
    assert fewer.indices("train").shape == (2, 12)


def test_scale_needs_one_shape_for_both(tmp_path):
    write_target_scale(tmp_path, TargetScale(np.zeros((2, 1)), np.zeros((2, 1))))
    with pytest.raises(RunError, match="a std of 0"):
        read_target_scale(tmp_path)
    write_target_scale(tmp_path, TargetScale(np.zeros((2, 1)), np.ones((2, 2))))
    with pytest.raises(RunError, match="mean and std, float64"):
        read_target_scale(tmp_path)


def test_classes_are_as_before():
    assert not vectors().is_regression
    assert stateful_problem().targets is None
