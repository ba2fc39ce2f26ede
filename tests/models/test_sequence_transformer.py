import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models.sequence_transformer import SequenceTransformer
from tests.models import transformer_reference as reference
from tests.models.transformer_reference import run

MASK = jnp.asarray(np.arange(5) < np.asarray([5, 3, 1])[:, None])


def _make(pool="mean", dropout=0.0, **options):
    return SequenceTransformer(4, 6, 2, 3, 7, dropout, pool=pool, rngs=nnx.Rngs(0), **options)


def _inputs(dtype=np.float32, mask=MASK):
    values = np.random.default_rng(0).normal(size=(3, 5, 4))
    return {"values": jnp.asarray(values, dtype), "mask": mask}


@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_is_dense_positions_blocks_and_a_pool(x64, pool):
    encoder, params = reference.randomized(_make(pool, param_dtype=jnp.float64))
    inputs, mask = _inputs(np.float64), np.asarray(MASK)
    steps = reference.dense(params["dense"], inputs["values"]) + params["positions"][:5]
    if pool == "cls":
        steps, mask = reference.with_token(params["token"], steps, mask)
    outputs = reference.stack(params["stack"], steps, mask, heads=3)
    if pool == "cls":
        expected = outputs[:, 0]
    else:
        expected = np.stack([o[real].mean(axis=0) for o, real in zip(outputs, mask, strict=True)])
    features = run(encoder, inputs)
    assert features.shape == (3, 6)
    np.testing.assert_allclose(features, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("padding", [7.0, np.nan])
@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_padding_changes_nothing(pool, padding):
    encoder, inputs = _make(pool), _inputs()
    filled = inputs | {"values": jnp.where(MASK[..., None], inputs["values"], padding)}
    np.testing.assert_array_equal(run(encoder, filled), run(encoder, inputs))
    plain, masked = reference.gradients(encoder, inputs), reference.gradients(encoder, filled)
    np.testing.assert_array_equal(masked["dense"]["kernel"], plain["dense"]["kernel"])
    shorter = {"values": inputs["values"][1:, :3], "mask": MASK[1:, :3]}
    np.testing.assert_allclose(
        run(encoder, shorter), run(encoder, inputs)[1:], rtol=1e-5, atol=1e-6
    )


def test_an_array_alone_is_real_throughout():
    encoder, inputs = _make(), _inputs(mask=jnp.ones_like(MASK))
    expected = run(encoder, inputs)
    np.testing.assert_allclose(run(encoder, inputs["values"]), expected, rtol=1e-4, atol=1e-6)


def test_position_matters():
    encoder, inputs = _make(), _inputs(mask=jnp.ones_like(MASK))
    backwards = run(encoder, inputs["values"][:, ::-1])
    assert jnp.abs(backwards - run(encoder, inputs)).max() > 1e-4


@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_sequences_of_nothing_have_finite_features_and_gradients(pool):
    encoder = _make(pool)
    nothing = {"values": jnp.zeros((3, 5, 4)), "mask": jnp.zeros_like(MASK)}
    features, grads = run(encoder, nothing), reference.gradients(encoder, nothing)
    assert np.isfinite(features).all()
    assert (pool == "cls") == bool(jnp.abs(features).max() > 0)
    leaves = [leaf for part in grads["stack"].values() for leaf in part.values()]
    assert all(np.isfinite(x).all() for leaf in leaves for x in _arrays(leaf))
    assert np.isfinite(grads["positions"]).all()
    assert np.isfinite(grads["dense"]["kernel"]).all()


def _arrays(tree):
    return (
        [x for part in tree.values() for x in _arrays(part)] if isinstance(tree, dict) else [tree]
    )


def test_dropout_is_drawn_in_training_alone():
    encoder, inputs = _make(dropout=0.5), _inputs()
    assert jnp.abs(run(encoder, inputs) - run(encoder, inputs)).max() > 1e-2
    encoder.eval()
    np.testing.assert_array_equal(run(encoder, inputs), run(encoder, inputs))
    plain, _ = reference.randomized(_make())
    trained, _ = reference.randomized(encoder)
    np.testing.assert_allclose(run(trained, inputs), run(plain, inputs), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"in_features": 0}, "in_features must be an integer >= 1, got 0"),
        ({"max_length": 0}, "max_length must be an integer >= 1, got 0"),
        ({"width": 6}, "width is 6 and heads is 4"),
        ({"pool": "max"}, r"pool must be one of \['mean', 'cls'\], got 'max'"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        SequenceTransformer(**({"in_features": 4} | arguments), rngs=nnx.Rngs(0))


VALUES = jnp.zeros((2, 5, 4))


@pytest.mark.parametrize(
    "inputs, message",
    [
        (jnp.zeros((2, 8, 4)), "8 steps; at most max_length=7"),
        (jnp.zeros((2, 4)), r"values have shape \(2, 4\); \[B, T, D\]"),
        ({"values": VALUES}, r"parts \['values'\]; 'values' and 'mask'"),
        ({"values": VALUES, "mask": MASK[:2, :4]}, r"bool \(2, 4\); bool \(2, 5\) is accepted"),
        ({"values": VALUES, "mask": jnp.ones((2, 5))}, r"float32 \(2, 5\); bool \(2, 5\)"),
    ],
)
def test_inputs_of_another_form_are_refused(inputs, message):
    with pytest.raises(ValueError, match=message):
        _make()(inputs)
