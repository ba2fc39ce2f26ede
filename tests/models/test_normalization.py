import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import LayerNorm
from masam_jax.models.normalization import make_norm, normalise
from tests.models import transformer_reference as reference


def _inputs(*shape, shift=0.0):
    return np.random.default_rng(0).normal(size=shape) + shift


@pytest.mark.parametrize("epsilon", [1e-12, 0.3])
def test_layer_normalisation_follows_its_equation(x64, epsilon):
    layer = LayerNorm(5, epsilon, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    layer, params = reference.randomized(layer)
    inputs = _inputs(2, 3, 5)
    np.testing.assert_allclose(
        layer(jnp.asarray(inputs)), reference.norm(params, inputs, epsilon), rtol=1e-12
    )


def test_a_small_epsilon_and_a_large_mean_are_not_lost():
    layer = LayerNorm(8, 1e-12, rngs=nnx.Rngs(0))
    inputs = np.float32(_inputs(4, 8, shift=2e3))
    identity = {"scale": np.ones(8), "bias": np.zeros(8)}
    expected = reference.norm(identity, np.float64(inputs), 1e-12)
    np.testing.assert_allclose(layer(jnp.asarray(inputs)), expected, rtol=1e-3, atol=1e-3)
    tiny = np.float32(_inputs(4, 8)) * np.float32(1e-3)
    expected = reference.norm(identity, np.float64(tiny), 1e-12)
    np.testing.assert_allclose(layer(jnp.asarray(tiny)), expected, rtol=1e-4, atol=1e-5)


def test_a_constant_vector_has_finite_features_and_gradients():
    layer = LayerNorm(8, rngs=nnx.Rngs(0))
    inputs = jnp.full((2, 8), 3.0)
    np.testing.assert_array_equal(layer(inputs), jnp.zeros((2, 8)))
    assert np.isfinite(jax.grad(lambda x: (layer(x) * x).sum())(inputs)).all()


@pytest.mark.parametrize(
    "dtype, param_dtype, inputs_dtype, expected",
    [
        (None, jnp.float32, jnp.float32, jnp.float32),
        (None, jnp.float32, jnp.bfloat16, jnp.bfloat16),
        (jnp.bfloat16, jnp.float32, jnp.float32, jnp.bfloat16),
        (None, jnp.bfloat16, jnp.float32, jnp.float32),
    ],
)
def test_the_output_has_the_dtype_asked_for(dtype, param_dtype, inputs_dtype, expected):
    layer = LayerNorm(5, dtype=dtype, param_dtype=param_dtype, rngs=nnx.Rngs(0))
    inputs = _inputs(64, 5)
    outputs = layer(jnp.asarray(inputs, inputs_dtype))
    assert outputs.dtype == expected
    # Mean and variance are float32's: only inputs and outputs are rounded.
    rounded = np.float64(jnp.asarray(inputs, inputs_dtype).astype(jnp.float32))
    exact = reference.norm({"scale": np.ones(5), "bias": np.zeros(5)}, rounded, 1e-5)
    tolerance = 2.0**-8 if expected == jnp.bfloat16 else 1e-5
    np.testing.assert_allclose(outputs.astype(jnp.float32), exact, rtol=tolerance, atol=tolerance)


def _as_group(values, groups):
    grouped = values.reshape(len(values), -1, groups, values.shape[-1] // groups)
    mean, var = (f(grouped, axis=(1, 3), keepdims=True) for f in (np.mean, np.var))
    return ((grouped - mean) / np.sqrt(var + 1e-5)).reshape(values.shape)


def _as_batch(values, _):
    mean, var = (f(values, axis=(0, 1, 2)) for f in (np.mean, np.var))
    return (values - mean) / np.sqrt(var + 1e-5)


@pytest.mark.parametrize("shift", [0.0, 1e3])
@pytest.mark.parametrize("kind, expected", [("batch", _as_batch), ("group", _as_group)])
def test_batch_and_group_normalisation_follow_their_equations(kind, expected, shift):
    norm = make_norm(kind, 4, groups=2, rngs=nnx.Rngs(0))
    inputs = np.float32(_inputs(3, 5, 5, 4, shift=shift))
    tolerance = 1e-5 if not shift else 2e-3
    np.testing.assert_allclose(
        normalise(norm, jnp.asarray(inputs)),
        expected(np.float64(inputs), 2),
        rtol=tolerance,
        atol=tolerance,
    )


@pytest.mark.parametrize("kind", ["batch", "group"])
@pytest.mark.parametrize("param_dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_normalising_keeps_the_dtype_of_inputs_and_statistics(kind, param_dtype, dtype):
    norm = make_norm(kind, 4, groups=2, param_dtype=param_dtype, rngs=nnx.Rngs(0))
    inputs = jnp.asarray(_inputs(3, 5, 5, 4), dtype)
    assert normalise(norm, inputs).dtype == dtype
    statistics = jax.tree.leaves(nnx.state(norm, nnx.BatchStat))
    assert len(statistics) == (2 if kind == "batch" else 0)
    assert {leaf.dtype for leaf in statistics} <= {jnp.dtype(jnp.float32)}
    if kind == "batch":
        norm.eval()
        assert normalise(norm, inputs).dtype == dtype


def test_float64_statistics_of_float64_parameters(x64):
    norm = make_norm("batch", 4, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    inputs = _inputs(3, 5, 5, 4, shift=1e3)
    outputs = normalise(norm, jnp.asarray(inputs))
    np.testing.assert_allclose(outputs, _as_batch(inputs, 1), rtol=1e-9, atol=1e-9)
    expected = 0.1 * inputs.mean((0, 1, 2))
    np.testing.assert_allclose(norm.mean[...], expected, rtol=1e-12)


def test_a_batch_of_one_value_is_finite():
    """Nothing varies: the variance is 0, and what comes out the bias."""
    norm = make_norm("batch", 3, rngs=nnx.Rngs(0))
    norm.bias[...] = jnp.array([1.0, 2.0, 3.0])
    inputs = jnp.array([[[[5.0, -7.0, 0.0]]]])
    np.testing.assert_array_equal(normalise(norm, inputs), [[[[1, 2, 3]]]])

    loss = nnx.grad(lambda norm, x: jnp.sum(jnp.square(normalise(norm, x))), argnums=1)
    found = loss(norm, inputs)
    np.testing.assert_array_equal(found, np.zeros_like(inputs))
