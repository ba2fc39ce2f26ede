"""Networks whose encoders have batch norm and dropout, and networks of several labels."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import FeedForwardEncoder, LateFusionNetwork, MLPEncoder

SIZE, BATCH = 4, 12
KEY = jax.random.key(5)
INPUTS = jnp.asarray(np.random.default_rng(0).normal(size=(BATCH, SIZE)), jnp.float32)


class _Masks(nnx.Module):
    """Shows which of its values were dropped."""

    def __init__(self, *, rngs):
        self.scale = nnx.Param(jnp.ones(()))
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, inputs):
        return self.dropout(jnp.ones_like(inputs) * self.scale[...])


@pytest.fixture(scope="module")
def network():
    ffn = partial(FeedForwardEncoder, SIZE, (6,), 5, dropout=0.3)
    plain = partial(MLPEncoder, SIZE, width=5, depth=1)
    return LateFusionNetwork({"a": ffn, "b": ffn, "c": plain}, dict.fromkeys("abc", 5), 3)


@pytest.fixture(scope="module")
def state(network):
    """Parameters and statistics."""
    return network.init(jax.random.key(0)), network.init_statistics()


def test_each_modality_draws_from_its_own_part_of_the_key():
    encoders = dict.fromkeys("ab", _Masks)
    network = LateFusionNetwork(encoders, dict.fromkeys("ab", SIZE), 3)
    assert network.is_random
    params = network.init(jax.random.key(0))
    masks = {}
    for key in (0, 1):
        for m in "ab":
            features, _ = network.encode_training(params, m, INPUTS, {}, jax.random.key(key))
            again, _ = network.encode_training(params, m, INPUTS, {}, jax.random.key(key))
            np.testing.assert_array_equal(features, again)
            masks[key, m] = np.asarray(features).tobytes()
    assert len(set(masks.values())) == 4
    # Alone it has the key that it has beside others.
    alone = LateFusionNetwork({"a": _Masks}, {"a": SIZE}, 3)
    features, _ = alone.encode_training(params, "a", INPUTS, {}, jax.random.key(0))
    assert np.asarray(features).tobytes() == masks[0, "a"]


def test_statistics_are_by_modality(network, state):
    params, statistics = state
    assert sorted(statistics) == ["a", "b"]
    _, after = network.encode_training(params, "a", INPUTS, statistics, KEY)
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, statistics["a"])
    weights = params["encoders"]["a"]["dense_0"]
    hidden = np.asarray(INPUTS, np.float64) @ np.asarray(weights["kernel"], np.float64)
    hidden += np.asarray(weights["bias"])
    np.testing.assert_allclose(after["norm_0"]["mean"], 0.1 * hidden.mean(0), atol=1e-6)
    np.testing.assert_allclose(after["norm_0"]["var"], 0.9 + 0.1 * hidden.var(0), rtol=1e-5)
    _, none = network.encode_training(params, "c", INPUTS, statistics, KEY)
    assert none == {}


def test_prediction_is_bound_to_running_statistics(network, state):
    params, statistics = state
    moved = jax.tree.map(lambda x: x + 0.5, statistics)
    bound = network.with_statistics(moved)
    plain, with_moved = (net.encode(params, "a", INPUTS) for net in (network, bound))
    assert jnp.abs(plain - with_moved).max() > 1e-2
    np.testing.assert_array_equal(network.encode(params, "a", INPUTS), plain)
    np.testing.assert_array_equal(
        network.with_statistics(statistics).encode(params, "a", INPUTS), plain
    )
    # Whatever else is in the batch.
    np.testing.assert_allclose(
        bound.encode(params, "a", INPUTS[:3]), with_moved[:3], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(
        bound.apply(params, dict.fromkeys("abc", INPUTS))[1]["a"],
        network.unimodal(params, dict.fromkeys("abc", with_moved))["a"],
    )


def test_training_without_a_key_is_refused(network, state):
    params, statistics = state
    with pytest.raises(ValueError, match="needs a PRNG key"):
        network.encode_training(params, "a", INPUTS, statistics)
    network.encode_training(params, "c", INPUTS, statistics)


@pytest.mark.parametrize("labels", [1, 3])
@pytest.mark.parametrize("fusion", ["concat", "sum", "film", "gated", "attention"])
def test_networks_of_several_labels(labels, fusion):
    encoders = {m: partial(MLPEncoder, SIZE, width=5, depth=1) for m in "ab"}
    network = LateFusionNetwork(
        encoders, dict.fromkeys("ab", 5), labels, fusion=fusion, multi_label=True
    )
    assert (network.multi_label, network.num_classes, network.is_random) == (True, labels, False)
    assert network.init_statistics() == {}
    params = jax.eval_shape(network.init, jax.random.key(0))
    logits, unimodal = jax.eval_shape(network.apply, params, dict.fromkeys("ab", INPUTS))
    assert logits.shape == unimodal["a"].shape == (BATCH, labels)


def test_no_label_at_all_is_refused():
    encoders = {"a": partial(MLPEncoder, SIZE)}
    with pytest.raises(ValueError, match="num_classes is 0; at least 1"):
        LateFusionNetwork(encoders, {"a": 32}, 0, multi_label=True)
    with pytest.raises(ValueError, match="num_classes is 1; at least 2"):
        LateFusionNetwork(encoders, {"a": 32}, 1)
