import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import MLPEncoder


def test_is_relu_layers_in_order():
    encoder = MLPEncoder(3, width=5, depth=2, rngs=nnx.Rngs(0))
    inputs = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    params = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(encoder)))
    assert sorted(params) == ["dense_0", "dense_1"]
    params["dense_1"]["bias"] = params["dense_1"]["bias"] + np.float32(0.5)
    nnx.update(encoder, nnx.State(params))
    expected = inputs
    for name in ("dense_0", "dense_1"):
        expected = np.maximum(expected @ params[name]["kernel"] + params[name]["bias"], 0)
    np.testing.assert_allclose(encoder(jnp.asarray(inputs)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("depth", [1, 3])
def test_depth_and_width(depth):
    encoder = MLPEncoder(7, width=6, depth=depth, rngs=nnx.Rngs(0))
    assert len(nnx.to_pure_dict(nnx.state(encoder))) == depth
    assert encoder(jnp.zeros((2, 7), jnp.float32)).shape == (2, 6)


def test_computes_in_bfloat16_on_float32_parameters():
    encoder = MLPEncoder(3, width=4, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    assert encoder.dense_0.kernel[...].dtype == jnp.float32
    assert encoder(jnp.ones((2, 3), jnp.float32)).dtype == jnp.bfloat16


@pytest.mark.parametrize("name", ["in_features", "width", "depth"])
def test_bad_sizes_are_refused_by_name(name):
    with pytest.raises(ValueError, match=f"^{name} must be an integer >= 1, got 0"):
        MLPEncoder(**({"in_features": 3} | {name: 0}), rngs=nnx.Rngs(0))
