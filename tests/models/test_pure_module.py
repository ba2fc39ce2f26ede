"""Modules with running statistics and dropout as functions of their arguments."""

from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models.normalization import make_norm, normalise
from masam_jax.models.pure_module import PureModule

BATCH, SIZE, RATE = 16, 6, 0.5
INPUTS = jnp.asarray(np.random.default_rng(0).normal(2.0, 3.0, (BATCH, SIZE)), jnp.float32)


class _Both(nnx.Module):
    """Batch norm and a scale, then two dropouts of the same values side by side."""

    def __init__(self, *, norm=True, rate=RATE, rngs):
        self.scale = nnx.Param(jnp.full((SIZE,), 2.0))
        self.norm = make_norm("batch", SIZE, rngs=rngs) if norm else None
        self.first = nnx.Dropout(rate, rngs=rngs) if rate else None
        self.second = nnx.Dropout(rate, rngs=rngs) if rate else None

    def __call__(self, inputs):
        values = inputs * self.scale[...][None]
        if self.norm is not None:
            values = normalise(self.norm, values)
        drops = (self.first, self.second)
        each = [values if drop is None else drop(values) for drop in drops]
        return jnp.concatenate(each, axis=1)


class _Counting(nnx.Module):
    def __init__(self, *, rngs):
        self.calls = nnx.Intermediate(jnp.zeros(()))


@pytest.fixture(scope="module")
def module():
    return PureModule("it", _Both, stateful=True)


@pytest.fixture(scope="module")
def params(module):
    return module.init(jax.random.key(0))


@pytest.fixture(scope="module")
def statistics(module):
    """Not those of the beginning."""
    leaves, structure = jax.tree.flatten(module.init_statistics())
    return jax.tree.unflatten(structure, [x + 0.5 + i for i, x in enumerate(leaves)])


def _masks(outputs):
    """What was dropped by either dropout."""
    return np.split(np.asarray(outputs) == 0, 2, axis=1)


def test_one_key_is_one_mask(module, params, statistics):
    first, again = (
        module.train(params, INPUTS, statistics=statistics, key=jax.random.key(3)) for _ in "ab"
    )
    chex.assert_trees_all_equal(first, again)
    raw = module.train(params, INPUTS, statistics=statistics, key=jax.random.PRNGKey(3))
    chex.assert_trees_all_equal(first, raw)
    other, after = module.train(params, INPUTS, statistics=statistics, key=jax.random.key(4))
    assert (_masks(first[0])[0] != _masks(other)[0]).any()
    # Statistics are of what comes before the dropout.
    chex.assert_trees_all_equal(first[1], after)


def test_a_mask_does_not_depend_on_what_is_dropped(module, params, statistics):
    """As between MASAM's two points, whose features differ."""
    key = jax.random.key(3)
    moved = jax.tree.map(lambda x: x + 0.25, params)
    here, there = (
        module.train(tree, INPUTS, statistics=statistics, key=key)[0] for tree in (params, moved)
    )
    np.testing.assert_array_equal(_masks(here), _masks(there))


def test_each_dropout_has_a_mask_of_its_own(module, params, statistics):
    first, second = _masks(
        module.train(params, INPUTS, statistics=statistics, key=jax.random.key(3))[0]
    )
    assert (first != second).any()
    assert 0.3 < first.mean() < 0.7


def test_statistics_move_by_momentum(module, params, statistics):
    _, after = module.train(params, INPUTS, statistics=statistics, key=jax.random.key(0))
    values = np.asarray(INPUTS, np.float64) * 2
    for name, now in (("mean", values.mean(axis=0)), ("var", values.var(axis=0))):
        before = np.asarray(statistics["norm"][name], np.float64)
        np.testing.assert_allclose(after["norm"][name], 0.9 * before + 0.1 * now, rtol=1e-5)


def test_training_normalises_by_the_batch(params):
    module = PureModule("it", partial(_Both, rate=0), stateful=True)
    start = module.init_statistics()
    outputs, _ = module.train(params, INPUTS, statistics=start, key=None)
    values = np.asarray(INPUTS, np.float64) * 2
    expected = (values - values.mean(axis=0)) / np.sqrt(values.var(axis=0) + 1e-5)
    np.testing.assert_allclose(outputs, np.tile(expected, 2), rtol=1e-4, atol=1e-5)
    moved = jax.tree.map(lambda x: x + 7, start)
    again, _ = module.train(params, INPUTS, statistics=moved, key=None)
    np.testing.assert_array_equal(again, outputs)


def test_predicting_normalises_by_what_was_running_and_drops_nothing(module, params, statistics):
    mean, var = (np.asarray(statistics["norm"][name], np.float64) for name in ("mean", "var"))
    values = np.asarray(INPUTS, np.float64) * 2
    expected = (values - mean) / np.sqrt(var + 1e-5)
    outputs = module(params, INPUTS, statistics=statistics)
    np.testing.assert_allclose(outputs, np.tile(expected, 2), rtol=1e-4, atol=1e-5)


def test_without_statistics_it_predicts_by_those_of_the_beginning(module, params):
    start = module.init_statistics()
    assert set(start["norm"]) == {"mean", "var"}
    np.testing.assert_array_equal(start["norm"]["mean"], np.zeros(SIZE))
    np.testing.assert_array_equal(start["norm"]["var"], np.ones(SIZE))
    np.testing.assert_array_equal(module(params, INPUTS), module(params, INPUTS, statistics=start))


def test_what_kinds_of_state_there_are():
    kinds = {(True, RATE): (True, True), (True, 0): (True, False), (False, RATE): (False, True)}
    for (norm, rate), (statistics, is_random) in kinds.items():
        module = PureModule("it", partial(_Both, norm=norm, rate=rate), stateful=True)
        assert (module.has_statistics, module.is_random) == (statistics, is_random)
        assert bool(module.init_statistics()) == statistics
    assert PureModule("it", partial(_Both, norm=False, rate=0)).init_statistics() == {}


def test_parameters_are_parameters_alone(module, params):
    assert set(params) == {"scale", "norm"}
    assert set(params["norm"]) == {"scale", "bias"}


def test_dropout_needs_a_key_where_it_trains(module, params, statistics):
    with pytest.raises(ValueError, match="dropout needs a PRNG key where it trains, got None"):
        module.train(params, INPUTS, statistics=statistics, key=None)


@pytest.mark.parametrize(
    "factory, stateful, message",
    [
        (_Counting, True, r"\(calls\); parameters, running statistics and random streams are"),
        (partial(_Both, rate=0), False, r"\(norm\); parameters alone are accepted"),
        (partial(_Both, norm=False), False, r"\(first, second\); parameters alone are accepted"),
    ],
)
def test_other_state_is_refused(factory, stateful, message):
    with pytest.raises(ValueError, match=f"it holds state other than it may {message}"):
        PureModule("it", factory, stateful=stateful)
