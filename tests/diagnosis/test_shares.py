"""Shares against Shapley values by orderings, in NumPy, and gradients of one seed at a time."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.config import DataConfig, Experiment, ModelConfig, OptimizationConfig, SeedConfig
from masam_jax.diagnosis import shares
from masam_jax.diagnosis.shares import gradient_shares, prediction_shares
from masam_jax.training.distribution import make_placement
from masam_jax.training.predictions import Point
from masam_jax.training.problem import build_problem


@pytest.fixture(scope="module")
def problem():
    experiment = Experiment(
        data=DataConfig("synthetic", train_size=24, validation_size=40, test_size=40),
        model=ModelConfig(width=4, depth=1, fusion="film"),
        optimization=OptimizationConfig(batch_size=12),
        seeds=SeedConfig(2),
    )
    return build_problem(experiment, make_placement)


@pytest.fixture(scope="module")
def point(problem):
    return Point(problem.initial("film")[0], {}, ())


def _fused(problem, params, seed, rows, subset):
    network = problem.network("film")
    single = jax.tree.map(lambda leaf: leaf[seed], params)
    features = {}
    for m in problem.modalities:
        mean, std = (np.asarray(part[seed]) for part in problem.statistics[m])
        inputs = (problem.data.features[m][rows] - mean) / std
        seen = inputs if m in subset else np.zeros_like(inputs)
        features[m] = network.encode(single, m, jnp.float32(seen))
    return np.asarray(network.fuse(single, features), np.float64)


def _by_orderings(value, players):
    value, found = functools.cache(value), dict.fromkeys(players, 0)
    orders = list(itertools.permutations(players))
    for order in orders:
        for place, m in enumerate(order):
            before = frozenset(order[:place])
            found[m] = found[m] + (value(before | {m}) - value(before)) / len(orders)
    return found


def test_shares_are_of_shapley_values(problem, point, monkeypatch):
    monkeypatch.setattr(shares, "_LEAST_ANSWERS", -1.0)
    rows = problem.indices("test")
    logits, answers = prediction_shares(problem, point, rows)
    for seed, own in enumerate(rows):

        def fused(subset, seed=seed, own=own):
            found = _fused(problem, point.params, seed, own, subset)
            return found if subset else np.zeros_like(found)

        def accuracy(subset, seed=seed, own=own):
            found = _fused(problem, point.params, seed, own, subset)
            return np.mean(found.argmax(-1) == problem.data.labels[own])

        parts = _by_orderings(fused, problem.modalities)
        norms = {
            m: np.linalg.norm(z - z.mean(-1, keepdims=True), axis=-1).mean()
            for m, z in parts.items()
        }
        worth = _by_orderings(accuracy, problem.modalities)
        for m in problem.modalities:
            assert logits[m][seed] == pytest.approx(norms[m] / sum(norms.values()), rel=1e-3)
            # A sample on the border may fall to either side.
            total = sum(worth.values())
            assert answers[m][seed] * total == pytest.approx(worth[m], abs=0.03)


def test_a_network_that_answers_at_random_shares_nothing(problem, point, monkeypatch):
    monkeypatch.setattr(shares, "_LEAST_ANSWERS", 1.0)
    _, answers = prediction_shares(problem, point, problem.indices("test"))
    assert all(np.isnan(each).all() for each in answers.values())


def test_of_many_modalities_the_first_and_the_last_part_count(problem, point, monkeypatch):
    monkeypatch.setattr(shares, "MOST_SUBSETS", 2)
    monkeypatch.setattr(shares, "_LEAST_ANSWERS", -1.0)
    logits, answers = prediction_shares(problem, point, problem.indices("test"))
    for each in (logits, answers):
        np.testing.assert_allclose(sum(each.values()), 1, rtol=1e-5)


def test_gradient_shares_are_those_of_each_seed_by_itself(problem, point):
    found = gradient_shares(problem, point)
    network = problem.network("film")
    for seed, rows in enumerate(problem.indices("train")):
        inputs = {}
        for m in problem.modalities:
            mean, std = (np.asarray(part[seed]) for part in problem.statistics[m])
            inputs[m] = jnp.float32((problem.data.features[m][rows] - mean) / std)
        truth = jax.nn.one_hot(problem.data.labels[rows], problem.data.num_classes)

        def loss(params, inputs=inputs, truth=truth):
            logits, _ = network.apply(params, inputs)
            return -jnp.mean(jnp.sum(truth * jax.nn.log_softmax(logits), axis=-1))

        grads = jax.grad(loss)(jax.tree.map(lambda leaf, seed=seed: leaf[seed], point.params))
        norms = {
            m: np.sqrt(sum(np.sum(np.square(leaf)) for leaf in jax.tree.leaves(each)))
            for m, each in grads["encoders"].items()
        }
        for m, norm in norms.items():
            assert found[m][seed] == pytest.approx(norm / sum(norms.values()), rel=1e-3)
