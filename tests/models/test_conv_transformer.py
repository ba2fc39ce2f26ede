import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import ConvTransformer
from tests.models import transformer_reference as reference
from tests.models.transformer_reference import run

# In the last sample a real step follows one that is not.
MASK = np.asarray([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0]], bool)


def _make(pool="mean", max_length=7, **options):
    options = {"dropout": 0.0} | options
    return ConvTransformer(3, 6, 2, 3, max_length, pool=pool, rngs=nnx.Rngs(0), **options)


def _inputs(dtype=np.float32, mask=MASK):
    values = np.random.default_rng(0).normal(size=(4, 4, 3))
    return {"values": jnp.asarray(values, dtype), "mask": jnp.asarray(mask)}


@pytest.mark.parametrize("pool", ["mean", "first", "last"])
@pytest.mark.parametrize("max_length", [7, None])
def test_is_a_convolution_positions_blocks_and_a_pool(x64, pool, max_length):
    encoder, params = reference.randomized(_make(pool, max_length, param_dtype=jnp.float64))
    assert params["conv"].keys() == {"kernel"}
    assert params["conv"]["kernel"].shape == (1, 3, 6)
    steps = np.asarray(_inputs(np.float64)["values"]) @ params["conv"]["kernel"][0]
    if max_length is None:
        assert "positions" not in params
    else:
        steps = steps + params["positions"][:4]
    outputs = reference.stack(params["stack"], steps, MASK, heads=3, pre_norm=False)
    if pool == "last":
        expected = np.stack([outputs[0, 3], outputs[1, 1], outputs[2, 0], outputs[3, 2]])
    elif pool == "first":
        expected = np.stack([o[real][0] for o, real in zip(outputs, MASK, strict=True)])
    else:
        expected = np.stack([o[real].mean(axis=0) for o, real in zip(outputs, MASK, strict=True)])
    features = run(encoder, _inputs(np.float64))
    np.testing.assert_allclose(features, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("pool", ["mean", "first", "last"])
def test_padding_changes_nothing(pool):
    """Neither what it holds nor how much there is of it."""
    encoder, _ = reference.randomized(_make(pool))
    inputs = _inputs()
    filled = inputs | {"values": jnp.where(MASK[..., None], inputs["values"], jnp.nan)}
    features = run(encoder, inputs)
    np.testing.assert_array_equal(run(encoder, filled), features)
    longer = {
        "values": jnp.pad(inputs["values"], ((0, 0), (0, 3), (0, 0)), constant_values=5.0),
        "mask": jnp.pad(inputs["mask"], ((0, 0), (0, 3))),
    }
    np.testing.assert_allclose(run(encoder, longer), features, rtol=1e-4, atol=1e-5)


def test_without_positions_order_means_nothing_and_any_length_fits():
    values = jnp.asarray(np.random.default_rng(1).normal(size=(2, 9, 3)), jnp.float32)
    free, _ = reference.randomized(_make(max_length=None))
    np.testing.assert_allclose(run(free, values[:, ::-1]), run(free, values), rtol=1e-4, atol=1e-5)
    placed, _ = reference.randomized(_make(max_length=9))
    assert jnp.abs(run(placed, values[:, ::-1]) - run(placed, values)).max() > 1e-2


@pytest.mark.parametrize("pool", ["mean", "first", "last"])
def test_sequences_of_nothing_have_features_of_zeros_and_finite_gradients(pool):
    encoder, _ = reference.randomized(_make(pool))
    nothing = _inputs(mask=np.zeros_like(MASK))
    np.testing.assert_array_equal(run(encoder, nothing), jnp.zeros((4, 6)))
    some = _inputs(mask=MASK & (np.arange(4) > 0)[:, None])
    grads = reference.gradients(encoder, some)
    assert np.isfinite(grads["conv"]["kernel"]).all()
    assert np.abs(grads["conv"]["kernel"]).max() > 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"in_features": 0}, "in_features must be an integer >= 1, got 0"),
        ({"max_length": 0}, "max_length must be an integer >= 1, got 0"),
        ({"width": 6}, "width is 6 and heads is 4"),
        ({"depth": 0}, "depth must be an integer >= 1, got 0"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), got 1.0"),
        ({"pool": "cls"}, r"pool must be one of \['mean', 'first', 'last'\], got 'cls'"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvTransformer(**({"in_features": 3} | arguments), rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    "inputs, message",
    [
        (jnp.zeros((2, 8, 3)), "8 steps; at most max_length=7"),
        (jnp.zeros((2, 3)), r"values have shape \(2, 3\); \[B, T, D\]"),
        ({"tokens": jnp.zeros((2, 3))}, r"parts \['tokens'\]; 'values' and 'mask'"),
    ],
)
def test_inputs_of_another_form_are_refused(inputs, message):
    with pytest.raises(ValueError, match=message):
        _make()(inputs)
