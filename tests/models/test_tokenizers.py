import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import PatchTokenizer, SequenceTokenizer
from tests.models import transformer_reference as reference
from tests.models.transformer_reference import run

MASK = np.arange(5) < np.asarray([5, 3, 0])[:, None]


def _normal(*shape):
    return np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize("size, patch", [((6, 8), (3, 4)), ((7, 5), (2, 3))])
def test_patches_are_flattened_row_by_row_through_a_dense_layer(x64, size, patch):
    tokenizer = PatchTokenizer(2, size, 5, patch, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    tokenizer, params = reference.randomized(tokenizer)
    images = _normal(3, *size, 2)
    kernel = params["conv"]["kernel"].reshape(-1, 5)
    expected = []
    for row in range(size[0] // patch[0]):
        for column in range(size[1] // patch[1]):
            top, left = row * patch[0], column * patch[1]
            piece = images[:, top : top + patch[0], left : left + patch[1]]
            expected.append(piece.reshape(3, -1) @ kernel + params["conv"]["bias"])
    expected = np.stack(expected, axis=1) + params["positions"]
    tokens = run(tokenizer, jnp.asarray(images))
    np.testing.assert_allclose(tokens["values"], expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(tokens["mask"], np.ones(expected.shape[:2], bool))


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((0, (8, 8)), "in_channels must be an integer >= 1, got 0"),
        ((1, (8, 8), 0), "width must be an integer >= 1, got 0"),
        ((1, (8, 8), 4, (4, 0)), "patch must be an integer >= 1, got 0"),
        ((1, (8, 3), 4, (4, 4)), r"image_size is \(8, 3\); it must hold a patch of \(4, 4\)"),
    ],
)
def test_bad_arguments_of_patches_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        PatchTokenizer(*arguments, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("shape", [(2, 8, 4, 3), (2, 4, 4, 3), (8, 8, 3)])
def test_images_of_another_size_are_refused(shape):
    tokenizer = PatchTokenizer(3, (8, 8), 4, (4, 4), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"images have shape .*; \[B, 8, 8, C\] is accepted"):
        tokenizer(jnp.zeros(shape))


def _steps(**options):
    return SequenceTokenizer(3, 4, 7, **options, rngs=nnx.Rngs(0))


def test_steps_are_a_dense_layer_and_positions(x64):
    tokenizer, params = reference.randomized(_steps(param_dtype=jnp.float64))
    values = _normal(3, 5, 3)
    inputs = {"values": jnp.asarray(values), "mask": jnp.asarray(MASK)}
    expected = reference.dense(params["dense"], values) + params["positions"][:5]
    tokens = run(tokenizer, inputs)
    np.testing.assert_array_equal(tokens["mask"], MASK)
    np.testing.assert_allclose(tokens["values"][MASK], expected[MASK], rtol=1e-10, atol=1e-12)
    filled = inputs | {"values": jnp.where(MASK[..., None], values, jnp.nan)}
    np.testing.assert_array_equal(run(tokenizer, filled)["values"], tokens["values"])
    whole = run(tokenizer, jnp.asarray(values))
    np.testing.assert_allclose(whole["values"], expected, rtol=1e-10, atol=1e-12)
    assert whole["mask"].all()


def test_a_vector_is_one_token(x64):
    tokenizer = SequenceTokenizer(3, 4, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    tokenizer, params = reference.randomized(tokenizer)
    vectors = _normal(6, 3)
    tokens = run(tokenizer, jnp.asarray(vectors))
    expected = reference.dense(params["dense"], vectors) + params["positions"][0]
    np.testing.assert_allclose(tokens["values"], expected[:, None], rtol=1e-10, atol=1e-12)
    assert tokens["mask"].shape == (6, 1)
    assert tokens["mask"].all()


@pytest.mark.parametrize("name", ["in_features", "width", "max_length"])
def test_bad_arguments_of_steps_are_refused_by_name(name):
    with pytest.raises(ValueError, match=f"{name} must be an integer >= 1, got 0"):
        SequenceTokenizer(**({"in_features": 3} | {name: 0}), rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    "inputs, message",
    [
        (jnp.zeros((2, 8, 3)), "8 steps; at most max_length=7"),
        (jnp.zeros((2, 8, 3, 1)), r"values have shape \(2, 8, 3, 1\); \[B, T, D\]"),
        ({"values": jnp.zeros((2, 3))}, r"parts \['values'\]"),
    ],
)
def test_inputs_of_another_form_are_refused(inputs, message):
    with pytest.raises(ValueError, match=message):
        _steps()(inputs)
