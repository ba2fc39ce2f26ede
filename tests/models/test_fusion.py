import jax.numpy as jnp
import numpy as np
from flax import nnx

from masam_jax.models import ConcatFusion, UnimodalHead

FEATURES = {
    "b": jnp.asarray(np.random.default_rng(0).normal(size=(4, 2)), jnp.float32),
    "a": jnp.asarray(np.random.default_rng(1).normal(size=(4, 3)), jnp.float32),
}


def test_concatenates_in_sorted_order_whatever_the_order_of_the_dict():
    fusion = ConcatFusion({"b": 2, "a": 3}, 5, rngs=nnx.Rngs(0))
    kernel = fusion.dense.kernel[...]
    expected = FEATURES["a"] @ kernel[:3] + FEATURES["b"] @ kernel[3:]
    np.testing.assert_allclose(fusion(FEATURES), expected, rtol=1e-5, atol=1e-6)
    backwards = dict(sorted(FEATURES.items()))
    np.testing.assert_array_equal(fusion(backwards), fusion(FEATURES))


def test_unimodal_head_is_linear():
    head = UnimodalHead(3, 5, rngs=nnx.Rngs(0))
    head.dense.bias[...] = jnp.arange(5, dtype=jnp.float32)
    expected = FEATURES["a"] @ head.dense.kernel[...] + jnp.arange(5, dtype=jnp.float32)
    np.testing.assert_allclose(head(FEATURES["a"]), expected, rtol=1e-5, atol=1e-6)
