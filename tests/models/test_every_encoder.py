"""What every encoder owes to a network, whatever it computes."""

from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.models.small_encoders import BATCH, ENCODERS, MASK

HAS_PADDING = [name for name, small in ENCODERS.items() if isinstance(small.inputs, dict)]
HAS_DROPOUT = [name for name, small in ENCODERS.items() if small.dropouts]


def _abstract(name, **options):
    """The encoder without values."""
    factory = ENCODERS[name].factory
    return nnx.eval_shape(lambda: factory(**options, rngs=nnx.Rngs(jax.random.key(0))))


def _split(module):
    """The graph; parameters, and all other state, as plain dicts."""
    graph, params, *rest = nnx.split(module, nnx.Param, nnx.BatchStat, nnx.RngState)
    return graph, nnx.to_pure_dict(params), tuple(map(nnx.to_pure_dict, rest))


def _filled(tree, seed):
    """Values that leave no layer at its initial identity; random streams at their beginning."""
    rng = np.random.default_rng(seed)

    def fill(path, leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.fold_in(jax.random.key(seed), rng.integers(1000))
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.zeros(leaf.shape, leaf.dtype)
        if path[-1].key in ("scale", "var"):
            return jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), leaf.dtype)
        limit = 1.5 / np.sqrt(max(1, np.prod(leaf.shape[:-1])))
        return jnp.asarray(rng.uniform(-limit, limit, leaf.shape), leaf.dtype)

    return jax.tree.map_with_path(fill, tree)


def _real(features):
    """Features; of tokens the real ones, for the others are masked by who reads them."""
    if isinstance(features, dict):
        return jnp.where(features["mask"][..., None], features["values"], 0)
    return features


def _forward(mode, name, **options):
    """``(params, rest, inputs) -> (features, rest)``, and the shapes of ``(params, rest)``."""
    module = _abstract(name, **options)
    getattr(module, mode)()
    graph, *shapes = _split(module)

    def forward(params, rest, inputs):
        module = nnx.merge(graph, params, *rest)
        features = _real(module(inputs))
        return features, _split(module)[2]

    return forward, shapes


def _step(name, **options):
    """``(params, rest, inputs) -> ((loss, (features, rest)), grads)`` in training."""
    forward, shapes = _forward("train", name, **options)

    def loss(params, rest, inputs):
        features, rest = forward(params, rest, inputs)
        return (features.astype(jnp.float32) ** 2).sum(), (features, rest)

    return jax.value_and_grad(loss, has_aux=True), shapes


@cache
def _compiled_step(name):
    step, shapes = _step(name)
    return jax.jit(step), [_filled(shapes, seed) for seed in (1, 2)]


def _close(tree, other):
    def compare(x, y):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        scale = max(1.0, float(np.abs(y).max()))
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-4 * scale)

    jax.tree.map(compare, tree, other)


@pytest.mark.parametrize("name", ENCODERS)
def test_seeds_may_be_stacked(name):
    """Features, statistics, random streams and gradients are those of each seed by itself."""
    step, (first, second) = _compiled_step(name)
    inputs = ENCODERS[name].inputs
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), first, second)
    together = jax.jit(jax.vmap(_step(name)[0], in_axes=(0, 0, None)))(*stacked, inputs)
    alone = [step(*state, inputs) for state in (first, second)]
    for index in range(2):
        _close(jax.tree.map(lambda x, i=index: x[i], together), alone[index])
    features = together[0][1][0]
    assert features.shape[:2] == (2, BATCH)
    assert jnp.abs(features[0] - features[1]).max() > 1e-2


@pytest.mark.parametrize("name", ENCODERS)
def test_every_parameter_is_trained(name):
    step, (state, _) = _compiled_step(name)
    _, grads = step(*state, ENCODERS[name].inputs)
    for path, grad in jax.tree.leaves_with_path(grads):
        where = jax.tree_util.keystr(path)
        assert np.isfinite(grad).all(), where
        # A constant added to all keys changes no softmax.
        assert np.abs(grad).max() > 0 or "['key']['bias']" in where, where


@pytest.mark.parametrize("name", HAS_PADDING)
def test_what_padding_holds_reaches_neither_features_nor_gradients(name):
    step, (state, _) = _compiled_step(name)
    inputs = ENCODERS[name].inputs
    key = next(key for key in inputs if key != "mask")
    junk = np.nan if key == "values" else -7
    mask = MASK if inputs[key].ndim == 2 else MASK[..., None]
    filled = inputs | {key: jnp.where(mask, inputs[key], jnp.asarray(junk, inputs[key].dtype))}
    assert jnp.any(filled[key] != inputs[key])
    chex.assert_trees_all_equal(
        _without_keys(step(*state, filled)), _without_keys(step(*state, inputs))
    )


def _without_keys(outputs):
    (loss, (features, _)), grads = outputs
    return loss, features, grads


@pytest.mark.parametrize("name", ENCODERS)
def test_state_is_parameters_statistics_and_random_streams(name):
    """Nothing else: a split by these kinds alone would fail."""
    _, params, (statistics, streams) = _split(_abstract(name))
    assert jax.tree.leaves(params)
    assert len(jax.tree.leaves(statistics)) == 2 * ENCODERS[name].batch_norms
    # A key and a count each.
    assert len(jax.tree.leaves(streams)) == 2 * ENCODERS[name].dropouts
    if name in HAS_DROPOUT:
        assert not jax.tree.leaves(_split(_abstract(name, dropout=0.0))[2][1])


@pytest.mark.parametrize("name", ENCODERS)
def test_train_and_eval_switch_every_dropout_and_batch_norm(name):
    module = _abstract(name)
    parts = [part for _, part in nnx.iter_modules(module)]
    dropouts = [part for part in parts if isinstance(part, nnx.Dropout)]
    norms = [part for part in parts if isinstance(part, nnx.BatchNorm)]
    assert (len(dropouts), len(norms)) == (ENCODERS[name].dropouts, ENCODERS[name].batch_norms)
    for mode, evaluates in (("eval", True), ("train", False), ("eval", True)):
        getattr(module, mode)()
        assert {part.deterministic for part in dropouts} <= {evaluates}
        assert {part.use_running_average for part in norms} <= {evaluates}


@pytest.mark.parametrize("name", ENCODERS)
def test_evaluation_is_a_function_of_each_row_alone(name):
    """It draws nothing, leaves all state as it is, and does not see the rest of the batch."""
    forward, shapes = _forward("eval", name)
    forward = jax.jit(forward)
    params, rest = _filled(shapes, 1)
    inputs = ENCODERS[name].inputs
    features, after = forward(params, rest, inputs)
    _close(after, rest)
    other_streams = (rest[0], _filled(shapes[1][1], 5))
    np.testing.assert_array_equal(forward(params, other_streams, inputs)[0], features)
    first = jax.tree.map(lambda x: jnp.concatenate([x[:1], x[:1], x[1:3]]), inputs)
    np.testing.assert_allclose(
        forward(params, rest, first)[0][1:], features[jnp.asarray([0, 1, 2])], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", [n for n, s in ENCODERS.items() if s.dropouts or s.batch_norms])
def test_training_moves_on_what_state_there_is(name):
    step, ((params, (statistics, streams)), _) = _compiled_step(name)
    inputs = ENCODERS[name].inputs
    (_, (features, (new_statistics, new_streams))), _ = step(params, (statistics, streams), inputs)
    for old, new in zip(jax.tree.leaves(statistics), jax.tree.leaves(new_statistics), strict=True):
        assert jnp.abs(new - old).max() > 0
    again = step(params, (statistics, new_streams), inputs)[0][1][0]
    has_dropout = name in HAS_DROPOUT
    assert (jnp.abs(again - features).max() > 1e-2) == has_dropout
    if has_dropout:
        counts = [x for x in jax.tree.leaves(new_streams) if jnp.issubdtype(x.dtype, jnp.integer)]
        assert [int(count) for count in counts] == [1] * ENCODERS[name].dropouts


@pytest.mark.parametrize("param_dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("name", ENCODERS)
def test_computes_in_bfloat16_under_strict_promotion(name, param_dtype):
    step, shapes = _step(name, dtype=jnp.bfloat16, param_dtype=param_dtype)
    (loss, (features, rest)), grads = jax.eval_shape(step, *shapes, ENCODERS[name].inputs)
    assert (features.dtype, loss.dtype) == (jnp.bfloat16, jnp.float32)
    assert {leaf.dtype for leaf in jax.tree.leaves(grads)} == {jnp.dtype(param_dtype)}
    before, after = ([(x.shape, x.dtype) for x in jax.tree.leaves(t)] for t in (shapes[1], rest))
    assert before == after
