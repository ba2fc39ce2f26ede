"""Flatness measured of all seeds at once, against dense Hessians and steps taken by hand."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.config import (
    DataConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.data import make_synthetic
from masam_jax.geometry.all_seeds import trace_samples
from masam_jax.geometry.along_training import RADIUS, FlatnessAlongTraining
from masam_jax.geometry.task_losses import TaskLosses
from masam_jax.methods import parse_method
from masam_jax.training.course import reported_point
from masam_jax.training.distribution import make_placement
from masam_jax.training.problem import build_problem
from masam_jax.training.state import init_state
from masam_jax.training.task import Task
from tests.promotion import standard_promotion  # noqa: F401 - a fixture

SEEDS = (3, 4)


def make_task(devices):
    experiment = Experiment(
        data=DataConfig("synthetic", train_size=24, validation_size=20, test_size=20),
        model=ModelConfig(width=3, depth=1),
        optimization=OptimizationConfig(steps=4, batch_size=8),
        seeds=SeedConfig(2, SEEDS[0]),
        evaluation=EvaluationConfig(
            measure=("trace,relative_flatness,sharpness",), measure_samples=20
        ),
    )
    data = make_synthetic(samples=100, dims=(4,), dominance=(2.0, 0.5), num_classes=3)
    return Task(
        build_problem(
            experiment, lambda *sizes: make_placement(*sizes, jax.devices()[:devices]), data
        ),
        parse_method("late_fusion"),
    )


def first_point(task):
    with jax.numpy_dtype_promotion("standard"):
        return jax.tree.map(jnp.copy, reported_point(init_state(task), best=False))


@pytest.fixture(scope="module")
def task():
    return make_task(devices=1)


@pytest.fixture(scope="module")
def point(task):
    return first_point(task)


@pytest.fixture(scope="module")
def found(task, point):
    return FlatnessAlongTraining(task)(point)


def of_encoder(task, point, seed, modality):
    """``flat -> loss`` of one encoder's parameters, and these, of one seed."""
    losses = TaskLosses(task)
    first = jax.tree.map(lambda x: x[seed], (point.params, losses.inputs(point, samples=20)))
    params, (batch,) = first
    flat, unravel = jax.flatten_util.ravel_pytree(params["encoders"][modality])

    @jax.jit
    def loss(flat):
        encoders = params["encoders"] | {modality: unravel(flat)}
        return losses.loss()(params | {"encoders": encoders}, batch)

    return loss, flat


@pytest.mark.parametrize("modality", ["m0", "m1"])
def test_numbers_are_those_of_the_definitions(task, point, found, modality):
    for seed in range(2):
        loss, flat = of_encoder(task, point, seed, modality)
        np.testing.assert_allclose(found["loss"][seed], loss(flat), rtol=1e-5)
        norm = np.linalg.norm(np.asarray(flat, np.float64))
        np.testing.assert_allclose(found["norm"][modality][seed], norm, rtol=1e-5)
        trace = np.trace(jax.hessian(loss)(flat))
        error = found["trace_error"][modality][seed]
        assert abs(found["trace"][modality][seed] - trace) < 4 * error
        assert error < 0.4 * trace
        gradient = np.asarray(jax.grad(loss)(flat), np.float64)
        there = flat + (RADIUS * norm / np.linalg.norm(gradient) * gradient).astype(np.float32)
        np.testing.assert_allclose(
            found["sharpness"][modality][seed], loss(there) - loss(flat), rtol=1e-3, atol=1e-6
        )
    product = found["trace"][modality] * found["norm"][modality] ** 2
    np.testing.assert_allclose(found["relative_flatness"][modality], product, rtol=1e-12)


def test_measured_again_the_numbers_are_the_same(task, point, found):
    again = FlatnessAlongTraining(task)
    for _ in range(2):
        jax.tree.map(np.testing.assert_array_equal, again(point), found)


def test_seeds_may_be_spread_over_devices(found):
    task = make_task(devices=2)
    assert task.problem.placement.mesh.size == 2
    spread = FlatnessAlongTraining(task)(first_point(task))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5), spread, found)


def test_a_diverged_seed_leaves_the_other_as_it_is(task, point, found):
    broken = point._replace(params=jax.tree.map(lambda x: x.at[1].set(jnp.nan), point.params))
    for name, values in FlatnessAlongTraining(task)(broken).items():
        for m, each in values.items() if isinstance(values, dict) else [(None, values)]:
            assert np.isnan(each[1]), name
            assert each[0] == (found[name] if m is None else found[name][m])[0]


def test_the_trace_of_a_diagonal_is_exact():
    """vᵀ D v is the trace for every v of signs; of two seeds with different D."""

    def loss(params, batch):
        return batch * (jnp.sum(params["a"] ** 2) + 3 * jnp.sum(params["b"] ** 2)) / 2

    params = {"a": jnp.ones((2, 3)), "b": jnp.ones((2, 4))}
    batches = [jnp.array([1.0, 10.0]), jnp.array([3.0, 30.0])]
    keys = jnp.arange(4, dtype=jnp.uint32).reshape(2, 2)
    found = trace_samples(loss, params, batches, (1,), keys, samples=3)
    np.testing.assert_allclose(found, [[24.0, 240.0]] * 3, rtol=1e-6)
