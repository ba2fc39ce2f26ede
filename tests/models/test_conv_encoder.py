import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import ConvEncoder


def _images(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


@pytest.mark.parametrize("height, width", [(8, 8), (9, 5), (1, 1)])
def test_images_of_any_size_give_features(height, width):
    encoder = ConvEncoder(2, width=6, channels=(4, 8), rngs=nnx.Rngs(0))
    assert encoder(_images(3, height, width, 2)).shape == (3, 6)


def test_is_strided_convolutions_pooling_and_a_dense_layer():
    encoder = ConvEncoder(2, width=6, channels=(4, 8), rngs=nnx.Rngs(0))
    params = nnx.to_pure_dict(nnx.state(encoder))
    assert sorted(params) == ["conv_0", "conv_1", "dense"]
    images = _images(3, 8, 8, 2)
    features = images
    for name, size in (("conv_0", 4), ("conv_1", 2)):
        features = jax.lax.conv_general_dilated(
            features,
            params[name]["kernel"],
            (2, 2),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
        features = jnp.maximum(features + params[name]["bias"][None, None, None], 0)
        assert features.shape[1:3] == (size, size)
    pooled = features.mean((1, 2)) @ params["dense"]["kernel"] + params["dense"]["bias"][None]
    np.testing.assert_allclose(encoder(images), jnp.maximum(pooled, 0), rtol=1e-5, atol=1e-6)


def test_rows_do_not_influence_each_other_even_when_normalised():
    encoder = ConvEncoder(2, width=6, channels=(4, 8), groups=2, rngs=nnx.Rngs(0))
    images = _images(4, 8, 8, 2)
    np.testing.assert_allclose(encoder(images)[:1], encoder(images[:1]), rtol=1e-5, atol=1e-6)


def test_group_normalisation_forgets_the_images_scale():
    images = _images(2, 8, 8, 2)
    plain = ConvEncoder(2, width=6, channels=(4, 8), rngs=nnx.Rngs(0))
    normalised = ConvEncoder(2, width=6, channels=(4, 8), groups=2, rngs=nnx.Rngs(0))
    factor = jnp.float32(10)
    np.testing.assert_allclose(normalised(factor * images), normalised(images), atol=1e-3)
    assert jnp.abs(plain(factor * images) - plain(images)).max() > 0.1


def test_all_state_is_parameters():
    encoder = nnx.eval_shape(lambda: ConvEncoder(2, groups=4, rngs=nnx.Rngs(0)))
    _, rest = nnx.state(encoder, nnx.Param, ...)
    assert not jax.tree.leaves(rest)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"in_channels": 0}, "in_channels must be an integer >= 1, got 0"),
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"channels": ()}, r"channels is \(\)"),
        ({"channels": (4, 0)}, r"channels is \(4, 0\)"),
        ({"groups": 3}, r"groups is 3.*channels=\(16, 32, 64\)"),
        ({"groups": 0}, "groups is 0"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvEncoder(**({"in_channels": 2} | arguments), rngs=nnx.Rngs(0))
