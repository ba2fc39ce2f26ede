from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import FUSIONS, SIGNALS, LateFusionNetwork, batch_signals, blank_features
from tests.models import fusion_reference as reference
from tests.models.small_networks import make_batch, make_network


def _expected(name, network, params, inputs, features, labels):
    """All signals in NumPy."""
    head, labels = params["fusion"], np.asarray(labels)
    blank = blank_features(network, params, inputs)
    masked = partial(reference.masked, name, head, features, blank)

    def response(subset):
        return masked(subset) if subset else np.zeros((len(labels), network.num_classes))

    def minus_loss(subset):
        return -reference.mean_cross_entropy(masked(subset), labels)

    parts = reference.modality_logits(name, head, features)
    responses = reference.by_orders(response, network.modalities)
    return {
        "confidence": {m: reference.confidence(z, labels) for m, z in parts.items()},
        "response_losses": {
            m: reference.mean_cross_entropy(phi, labels) for m, phi in responses.items()
        },
        "shapley_values": reference.by_orders(minus_loss, network.modalities),
        "mean_features": {m: np.asarray(f).mean(axis=0) for m, f in features.items()},
    }


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", FUSIONS)
def test_signals_follow_their_equations(x64, name, count):
    network, params = make_network(count, name)
    inputs, features, labels = make_batch(network, params)
    compute = jax.jit(partial(batch_signals, SIGNALS, network))
    signals = compute(params, features, inputs, labels)
    expected = _expected(name, network, params, inputs, features, labels)
    assert set(signals) == set(SIGNALS) == set(expected)
    for signal, values in expected.items():
        assert set(signals[signal]) == set(network.modalities)
        for m, value in values.items():
            assert signals[signal][m].dtype == jnp.float64
            assert signals[signal][m].shape == np.shape(value)
            np.testing.assert_allclose(signals[signal][m], value, rtol=1e-9, atol=1e-12)


def test_shapley_values_share_out_the_loss(x64):
    """They add up to the loss with every modality masked, less the loss with none masked."""
    network, params = make_network(3, "gated")
    inputs, features, labels = make_batch(network, params)
    compute = jax.jit(partial(batch_signals, ["shapley_values"], network))
    signals = compute(params, features, inputs, labels)
    zeros = jax.tree.map(jnp.zeros_like, inputs)
    losses = [
        reference.mean_cross_entropy(np.asarray(network.apply(params, x)[0]), np.asarray(labels))
        for x in (zeros, inputs)
    ]
    total = sum(signals["shapley_values"].values())
    np.testing.assert_allclose(total, losses[0] - losses[1], rtol=1e-9)


def test_a_modality_without_weight_contributes_nothing(x64):
    network, params = make_network(3, "sum")
    inputs, features, labels = make_batch(network, params)
    params["fusion"]["dense"]["b"] = jax.tree.map(jnp.zeros_like, params["fusion"]["dense"]["b"])
    compute = jax.jit(partial(batch_signals, ["shapley_values"], network))
    values = compute(params, features, inputs, labels)
    assert abs(values["shapley_values"]["b"]) < 1e-15
    assert abs(values["shapley_values"]["a"]) > 1e-3


@pytest.mark.parametrize("signal", SIGNALS)
def test_signals_have_no_gradient(signal):
    network, params = make_network(2, "film", param_dtype=jnp.float32)
    inputs, _, labels = make_batch(network, params, np.float32)

    def total(params, inputs):
        features = {m: network.encode(params, m, inputs[m]) for m in network.modalities}
        signals = batch_signals([signal], network, params, features, inputs, labels)
        return sum(x.sum() for x in jax.tree.leaves(signals))

    grads = jax.jit(jax.grad(total, argnums=(0, 1)))(params, inputs)
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(grads))


def test_only_the_named_signals_are_computed():
    """Features and inputs that a signal has no use for may be missing."""
    network, params = make_network(2, "concat", param_dtype=jnp.float32)
    _, features, labels = make_batch(network, params, np.float32)
    alone = {"a": features["a"]}
    signals = batch_signals(("mean_features", "confidence"), network, params, alone, {}, labels)
    assert list(signals) == ["mean_features", "confidence"]
    assert [list(values) for values in signals.values()] == [["a"], ["a"]]
    assert batch_signals((), network, {}, {}, {}, labels) == {}


def test_bfloat16_networks_have_float32_signals():
    network, params = make_network(2, "gated", dtype=jnp.bfloat16, param_dtype=jnp.float32)
    inputs, features, labels = make_batch(network, params, np.float32)
    compute = partial(batch_signals, SIGNALS, network)
    signals = jax.eval_shape(compute, params, features, inputs, labels)
    assert {x.dtype for x in jax.tree.leaves(signals)} == {jnp.dtype(jnp.float32)}


def test_extreme_logits_give_finite_signals():
    network, params = make_network(2, "concat", param_dtype=jnp.float32)
    inputs, features, labels = make_batch(network, params, np.float32)
    features = jax.tree.map(lambda f: 1e6 * f, features)
    compute = jax.jit(partial(batch_signals, SIGNALS, network))
    signals = compute(params, features, inputs, labels)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(signals))


def test_signals_of_several_seeds_at_once():
    network, first = make_network(2, "film", param_dtype=jnp.float32)
    second = jax.tree.map(lambda x: x * 0.5, first)
    inputs, _, labels = make_batch(network, first, np.float32)

    def compute(params):
        features = {m: network.encode(params, m, inputs[m]) for m in network.modalities}
        return batch_signals(SIGNALS, network, params, features, inputs, labels)

    stacked = jax.tree.map(lambda *x: np.stack(x), first, second)
    together = jax.jit(jax.vmap(compute))(stacked)
    chex.assert_trees_all_close(
        jax.tree.map(lambda x: x[1], together), jax.jit(compute)(second), rtol=1e-4, atol=1e-5
    )


def test_unknown_signals_are_refused():
    network, params = make_network(1, "concat", param_dtype=jnp.float32)
    with pytest.raises(ValueError, match=r"signal 'confidense'; did you mean 'confidence'\?"):
        batch_signals(["confidense"], network, params, {}, {}, jnp.zeros(1, jnp.int32))


@pytest.mark.parametrize("signal", ["response_losses", "shapley_values"])
def test_too_many_modalities_are_refused(signal):
    names = [f"m{i}" for i in range(11)]
    network = LateFusionNetwork(
        {m: partial(nnx.Linear, 2, 2) for m in names}, dict.fromkeys(names, 2), 3
    )
    params = jax.tree.map(
        lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(network.init, jax.random.key(0))
    )
    inputs = dict.fromkeys(names, jnp.zeros((1, 2), jnp.float32))
    with pytest.raises(ValueError, match=r"of 11 modalities .* at most 10 modalities"):
        batch_signals([signal], network, params, inputs, inputs, jnp.zeros(1, jnp.int32))
