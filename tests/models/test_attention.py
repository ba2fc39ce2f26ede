import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import SelfAttention
from tests.models import transformer_reference as reference
from tests.models.transformer_reference import run

MASK = np.asarray([[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]], bool)


def _steps(dtype=np.float64):
    return jnp.asarray(np.random.default_rng(0).normal(size=(3, 4, 6)), dtype)


@pytest.mark.parametrize("heads", [1, 2, 3, 6])
def test_follows_its_equation(x64, heads):
    """A sequence without a real step attends to all of its steps alike."""
    layer = SelfAttention(6, heads, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    layer, params = reference.randomized(layer)
    expected = reference.attention(params, np.asarray(_steps()), MASK, heads)
    np.testing.assert_allclose(run(layer, _steps(), jnp.asarray(MASK)), expected, rtol=1e-9)


def test_scores_as_large_as_they_come_give_finite_outputs():
    layer, _ = reference.randomized(SelfAttention(6, 2, rngs=nnx.Rngs(0)))
    assert np.isfinite(run(layer, 1e4 * _steps(np.float32), jnp.asarray(MASK))).all()
