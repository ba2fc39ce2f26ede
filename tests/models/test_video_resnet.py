from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models.resnet import ResNet
from masam_jax.models.video_resnet import VideoResNet


def _frames(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


def _networks():
    """A network for clips and one for images, with the same values."""
    networks = []
    for factory in (VideoResNet, ResNet):
        make = partial(factory, 18, 2, base_channels=4, width=6, norm="batch")
        abstract = nnx.eval_shape(lambda make=make: make(rngs=nnx.Rngs(jax.random.key(0))))
        graph, state = nnx.split(abstract)
        networks.append(nnx.merge(graph, _filled(nnx.to_pure_dict(state))))
    return tuple(networks)


def _filled(tree):
    rng = np.random.default_rng(1)

    def fill(path, leaf):
        low = 0.5 if path[-1].key in ("scale", "var") else -0.5
        return jnp.asarray(rng.uniform(low, low + 1.0, leaf.shape), leaf.dtype)

    return jax.tree.map_with_path(fill, tree)


@nnx.jit
def _call(network, inputs):
    return network(inputs)


def _state(network):
    return nnx.to_pure_dict(nnx.state(network))


def test_in_evaluation_features_are_the_mean_over_frames():
    video, image = _networks()
    video.eval()
    image.eval()
    frames = _frames(2, 3, 16, 16, 2)
    expected = np.mean([_call(image, frames[:, time]) for time in range(3)], axis=0)
    features = _call(video, frames)
    assert features.shape == (2, 6) == (2, video.feature_size)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    shuffled = _call(video, frames[:, ::-1])
    np.testing.assert_allclose(shuffled, features, rtol=1e-4, atol=1e-5)
    assert jnp.abs(_call(video, frames[::-1]) - features).max() > 0.01


def test_in_training_the_frames_of_all_clips_are_one_batch():
    video, image = _networks()
    frames = _frames(2, 3, 16, 16, 2)
    expected = _call(image, frames.reshape(6, 16, 16, 2)).reshape(2, 3, 6).mean(axis=1)
    np.testing.assert_allclose(_call(video, frames), expected, rtol=1e-4, atol=1e-4)
    before = _state(_networks()[0])["stem_norm"]["mean"]
    after = _state(video)["stem_norm"]["mean"]
    assert jnp.abs(after - before).max() > 0
    np.testing.assert_allclose(after, _state(image)["stem_norm"]["mean"], rtol=1e-4, atol=1e-6)


def test_one_frame_is_an_image():
    video, image = _networks()
    video.eval()
    image.eval()
    frames = _frames(2, 1, 16, 16, 2)
    np.testing.assert_allclose(
        _call(video, frames), _call(image, frames[:, 0]), rtol=1e-4, atol=1e-5
    )


def test_parameters_and_statistics_are_a_resnets():
    video, image = _networks()
    assert jax.tree.structure(_state(video)) == jax.tree.structure(_state(image))
    chex.assert_trees_all_equal(_state(video), _state(image))


@pytest.mark.parametrize("shape", [(2, 8, 8, 2), (2, 0, 8, 8, 2), (2, 3, 8, 8, 2, 1)])
def test_other_inputs_are_refused(shape):
    video, _ = _networks()
    with pytest.raises(ValueError, match=r"frames \[B, T, H, W, C\] with T >= 1"):
        video(jnp.zeros(shape))


def test_other_channels_are_refused():
    video, _ = _networks()
    with pytest.raises(ValueError, match=r"images \[B, H, W, 2\] are needed"):
        video(jnp.zeros((2, 3, 8, 8, 1)))
