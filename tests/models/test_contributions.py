from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import (
    FUSIONS,
    LateFusionNetwork,
    MLPEncoder,
    blank_features,
    masked_logits,
    modal_responses,
)
from tests.models import fusion_reference as reference
from tests.models.small_networks import DIMS, make_batch, make_network


@pytest.mark.parametrize("name", FUSIONS)
@pytest.mark.parametrize("subset", [(), ("a",), ("c", "a"), ("a", "b", "c")])
def test_masked_modalities_have_blank_features(x64, name, subset):
    network, params = make_network(3, name)
    inputs, features, _ = make_batch(network, params)
    blank = blank_features(network, params, inputs)
    logits = masked_logits(network, params, features, frozenset(subset), blank)
    expected = reference.masked(name, params["fusion"], features, blank, subset)
    np.testing.assert_allclose(logits, expected, rtol=1e-10)


def test_a_masked_modality_is_an_input_of_zeros(x64):
    network, params = make_network(2, "film")
    inputs, features, _ = make_batch(network, params)
    blank = blank_features(network, params, inputs)
    assert {m: f.shape for m, f in blank.items()} == {
        m: (1, network.feature_sizes[m]) for m in network.modalities
    }
    silent, _ = network.apply(params, inputs | {"a": jnp.zeros_like(inputs["a"])})
    logits = masked_logits(network, params, features, {"b"}, blank)
    np.testing.assert_allclose(logits, silent, rtol=1e-10)


def test_blank_features_read_shapes_alone(x64):
    network, params = make_network(2, "concat")
    inputs, _, _ = make_batch(network, params)
    blank = blank_features(network, params, inputs)
    nonsense = jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), inputs)
    chex.assert_trees_all_equal(blank, blank_features(network, params, nonsense))


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", FUSIONS)
def test_modal_responses_are_shapley_values_and_add_up(x64, name, count):
    network, params = make_network(count, name)
    inputs, features, _ = make_batch(network, params)
    blank = blank_features(network, params, inputs)
    responses = modal_responses(network, params, features, blank)

    def value(subset):
        shape = (6, network.num_classes)
        if not subset:
            return np.zeros(shape)
        return reference.masked(name, params["fusion"], features, blank, subset)

    expected = reference.by_orders(value, network.modalities)
    assert list(responses) == list(network.modalities)
    for m in network.modalities:
        np.testing.assert_allclose(responses[m], expected[m], rtol=1e-9, atol=1e-12)
    total = sum(responses.values())
    np.testing.assert_allclose(total, network.fuse(params, features), rtol=1e-10, atol=1e-12)


def test_modal_responses_of_two_are_those_of_the_paper(x64):
    """φ_a = ½ (f(a,v) - f(0,v) + f(a,0)), by forward passes over zeroed inputs."""
    network, params = make_network(2, "gated")
    inputs, features, _ = make_batch(network, params)
    zeros = jax.tree.map(jnp.zeros_like, inputs)
    both = network.apply(params, inputs)[0]
    only_a = network.apply(params, inputs | {"b": zeros["b"]})[0]
    only_b = network.apply(params, inputs | {"a": zeros["a"]})[0]
    blank = blank_features(network, params, inputs)
    responses = modal_responses(network, params, features, blank)
    np.testing.assert_allclose(responses["a"], (both - only_b + only_a) / 2, rtol=1e-10)
    np.testing.assert_allclose(responses["b"], (both - only_a + only_b) / 2, rtol=1e-10)


def test_bfloat16_responses_are_float32():
    network, params = make_network(2, "concat", dtype=jnp.bfloat16, param_dtype=jnp.float32)
    inputs, features, _ = make_batch(network, params, np.float32)
    blank = blank_features(network, params, inputs)
    assert features["a"].dtype == jnp.bfloat16
    assert masked_logits(network, params, features, {"a"}, blank).dtype == jnp.bfloat16
    responses = modal_responses(network, params, features, blank)
    assert {phi.dtype for phi in responses.values()} == {jnp.dtype(jnp.float32)}


def test_images_may_be_masked():
    network = LateFusionNetwork(
        {"a": partial(MLPEncoder, DIMS["a"], 3), "image": lambda rngs: _Pooled(rngs=rngs)},
        {"a": 3, "image": 2},
        4,
    )
    inputs = {"a": jnp.ones((5, DIMS["a"])), "image": jnp.ones((5, 4, 4, 3), jnp.uint8)}
    params = jax.eval_shape(network.init, jax.random.key(0))
    blank = jax.eval_shape(partial(blank_features, network), params, inputs)
    assert blank["image"].shape == (1, 2)


class _Pooled(nnx.Module):
    def __init__(self, *, rngs):
        self.dense = nnx.Linear(3, 2, rngs=rngs)

    def __call__(self, images):
        return self.dense(images.astype(jnp.float32).mean(axis=(1, 2)))


def test_unknown_modalities_are_refused():
    network, params = make_network(2, "concat", param_dtype=jnp.float32)
    inputs, features, _ = make_batch(network, params, np.float32)
    blank = blank_features(network, params, inputs)
    with pytest.raises(ValueError, match=r"subset names \['x'\].*\['a', 'b'\]"):
        masked_logits(network, params, features, {"a", "x"}, blank)


def test_too_many_modalities_are_refused():
    names = [f"m{i}" for i in range(11)]
    network = LateFusionNetwork(
        {m: partial(nnx.Linear, 2, 2) for m in names}, dict.fromkeys(names, 2), 3
    )
    with pytest.raises(ValueError, match=r"of 11 modalities .* at most 10 modalities"):
        modal_responses(network, {}, {}, {})
