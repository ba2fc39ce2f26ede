"""A seed's numbers depend neither on the seeds beside it nor on what jax draws with by default.

Dropout, input noise, the initial parameters and what methods draw are all there. Two programs, of
one seed and of two, may sum in another order, which plain descent does not amplify.
"""

import contextlib
import functools

import jax
import numpy as np
import optax
import pytest

from masam_jax.config import CorruptionConfig
from masam_jax.methods import parse_method
from masam_jax.training.course import reported_point
from masam_jax.training.predictions import Predictors
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import Task
from tests.training.stateful import stateful_problem

NOISY = CorruptionConfig(input_noise=10.0, input_noise_in="all", missing=0.2)
STEPS = 2
METHODS = ("masam:rho=1,select=random", "ogm_ge", "aug", "mla")
IMPLEMENTATIONS = {
    "rbg": functools.partial(jax.default_prng_impl, "rbg"),
    "unsafe_rbg": functools.partial(jax.default_prng_impl, "unsafe_rbg"),
}
OTHERS = {
    "not partitionable": functools.partial(jax.threefry_partitionable, False),
    "x64": functools.partial(jax.enable_x64, True),
}


@pytest.fixture(autouse=True)
def _plain_descent(monkeypatch):
    monkeypatch.setattr(optax, "adamw", lambda rate, weight_decay: optax.sgd(0.1))


def _trained(method, seeds, first):
    """The state after a few steps and the probabilities of the test rows, ``[S, ...]``."""
    problem = stateful_problem(seeds, first=first, corruption=NOISY)
    task = Task(problem, parse_method(method))
    state, step = init_state(task), SeedStep(task, on_host=False)
    for index in range(STEPS):
        state, _ = step(state, task.batches.at(index), index)
    point = reported_point(state, best=False)
    found = Predictors(problem).of(task)(point, problem.indices("test"))
    return jax.device_get(state), found.probabilities


@functools.cache
def _by_default(method):
    return _trained(method, 2, 0)


@pytest.mark.parametrize(
    "setting, method", [*(("rbg", method) for method in METHODS), ("unsafe_rbg", "ogm_ge")]
)
def test_the_default_implementation_is_not_used(setting, method):
    with IMPLEMENTATIONS[setting]():
        found = _trained(method, 2, 0)
    assert jax.tree.all(jax.tree.map(np.array_equal, found, _by_default(method)))


@pytest.mark.parametrize("setting", ["default", "rbg", *OTHERS])
def test_a_seed_alone_is_the_one_beside_another(setting):
    with {"default": contextlib.nullcontext, **IMPLEMENTATIONS, **OTHERS}[setting]():
        alone = _trained(METHODS[0], 1, 1)
        together = jax.tree.map(lambda x: x[1:], _trained(METHODS[0], 2, 0))
    pairs = zip(jax.tree.leaves(alone), jax.tree.leaves(together), strict=True)
    for one, other in pairs:
        if np.issubdtype(one.dtype, np.floating):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
        else:
            np.testing.assert_array_equal(one, other)
