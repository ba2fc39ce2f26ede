"""MASAM's second pass with batch norm and dropout: the same batch, mask and statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax.methods import parse_method
from masam_jax.training import host_step
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import Task
from masam_jax.training.train_step import make_train_step
from tests.training.plain_masam import PlainSteps
from tests.training.stateful import stateful_problem

RHO, RATE, STEPS = 2.0, 0.1, 4
SPECS = {
    "dominant": f"masam:rho={RHO}",
    "all": f"masam:rho={RHO},select=all",
    "sam": f"sam:rho={RHO}",
}


@pytest.fixture(scope="module")
def problems():
    """By number of seeds."""
    with jax.numpy_dtype_promotion("standard"):
        return {count: stateful_problem(count) for count in (1, 2)}


@pytest.fixture(autouse=True)
def _plain_descent(monkeypatch):
    """AdamW would turn a gradient that is zero but for rounding into a whole step."""
    monkeypatch.setattr(optax, "adamw", lambda rate, weight_decay: optax.sgd(RATE))


_TRAINED = {}


def _train(problem, name, on_host=True):
    """Parameters and statistics ``[S, ...]`` after a few steps."""
    task = Task(problem, parse_method(SPECS[name]))
    state, step = init_state(task), SeedStep(task, on_host=on_host)
    for index in range(STEPS):
        state, _ = step(state, task.batches.at(index), index)
    return jax.device_get((state.params, state.statistics))


def _together(problems, name):
    """Of two seeds in one program; trained once."""
    if name not in _TRAINED:
        _TRAINED[name] = _train(problems[2], name)
    return _TRAINED[name]


def _train_plainly(problem, name, seed, **mistakes):
    """The same of one seed, without the axis."""
    network = problem.network("concat")
    steps = PlainSteps(network, name, RHO, RATE, **mistakes)
    params, statistics = jax.tree.map(lambda x: x[seed], problem.initial("concat"))
    data, train = problem.data, problem.splits[seed].train
    for index in range(STEPS):
        rows = problem.batches[index][seed]
        inputs = {}
        for m, features in data.features.items():
            known = features[train].astype(np.float64)
            scaled = (features[rows] - known.mean(0)) / known.std(0)
            inputs[m] = jnp.asarray(scaled, jnp.float32)
        labels = jnp.asarray(data.labels[rows])
        params, statistics = steps(params, statistics, inputs, labels, seed, index)
    return jax.device_get((params, statistics))


def _distance(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    pairs = zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True)
    return max(float(np.abs(x - y).max()) for x, y in pairs)


@pytest.mark.parametrize("name", SPECS)
def test_steps_are_those_of_plain_gradients(problems, name):
    """Parameters, and running statistics, which are those of the clean passes alone."""
    ours = _together(problems, name)
    for seed in range(2):
        theirs = _train_plainly(problems[2], name, seed)
        assert _distance(jax.tree.map(lambda x, s=seed: x[s], ours), theirs) < 2e-4


def test_mistakes_would_be_seen(problems):
    """What the comparison above cannot be blind to: the perturbation, and its dropout mask."""
    right = _train_plainly(problems[2], "dominant", 0)
    for mistake in (
        _train_plainly(problems[2], "none", 0),
        _train_plainly(problems[2], "all", 0),
        _train_plainly(problems[2], "dominant", 0, fresh_mask=True),
    ):
        assert _distance(right, mistake) > 5e-3


def test_a_seed_alone_is_the_one_that_shares_a_program(problems):
    alone = _train(problems[1], "dominant", on_host=False)
    together = _together(problems, "dominant")
    assert _distance(alone, jax.tree.map(lambda x: x[:1], together)) < 2e-4


def test_the_host_chooses_as_the_program_does(problems, monkeypatch):
    calls = []

    def on_host(*args):
        calls.append(args)
        return make_train_step(*args, dispatch="host")

    monkeypatch.setattr(host_step, "make_train_step", on_host)
    chosen = _train(problems[1], "dominant")
    assert len(calls) == 1
    together = _together(problems, "dominant")
    assert _distance(chosen, jax.tree.map(lambda x: x[:1], together)) < 2e-4
