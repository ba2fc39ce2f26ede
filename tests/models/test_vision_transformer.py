import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models.vision_transformer import VisionTransformer
from tests.models import transformer_reference as reference
from tests.models.transformer_reference import run


def _make(**options):
    return VisionTransformer(2, (7, 9), 6, 2, 3, (3, 4), rngs=nnx.Rngs(0), **options)


def _images(dtype=np.float32):
    return jnp.asarray(np.random.default_rng(0).normal(size=(3, 7, 9, 2)), dtype)


def test_is_patches_positions_blocks_and_a_mean(x64):
    encoder, params = reference.randomized(_make(param_dtype=jnp.float64))
    images = np.asarray(_images(np.float64))
    # Two by two whole patches; a row and a column are left over.
    patches = np.stack(
        [images[:, 3 * i : 3 * i + 3, 4 * j : 4 * j + 4] for i in (0, 1) for j in (0, 1)], axis=1
    )
    kernel = np.float64(params["patches"]["conv"]["kernel"]).reshape(-1, 6)
    steps = patches.reshape(3, 4, -1) @ kernel + np.float64(params["patches"]["conv"]["bias"])
    steps = steps + np.float64(params["patches"]["positions"])
    outputs = reference.stack(params["stack"], steps, np.ones((3, 4), bool), heads=3)
    features = run(encoder, jnp.asarray(images))
    assert features.shape == (3, 6)
    np.testing.assert_allclose(features, outputs.mean(axis=1), rtol=1e-9, atol=1e-9)


def test_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"\[B, 7, 9, C\] is accepted"):
        run(_make(), _images()[:, :6])


@pytest.mark.parametrize(
    "sizes, message",
    [((7, 3), "it must hold a patch of"), ((0, 9), "it must hold a patch of")],
)
def test_a_patch_fits_into_the_image(sizes, message):
    with pytest.raises(ValueError, match=message):
        VisionTransformer(2, sizes, 6, 2, 3, (3, 4), rngs=nnx.Rngs(0))
