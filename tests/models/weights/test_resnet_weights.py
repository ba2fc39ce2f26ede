"""Imported weights answer as timm's networks do (recorded), and nothing is taken on trust."""

from functools import cache, partial
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from masam_jax.models.resnet import ResNet
from masam_jax.models.video_resnet import VideoResNet
from masam_jax.models.weights import load_resnet_weights
from tests.models.torch_outputs.numpy_weights import images, resnet_weights

RECORDED = Path(__file__).parents[1] / "torch_outputs" / "resnet.npz"


def _abstract(factory):
    """Graph, parameters and statistics of a network that has no values."""
    graph, params, statistics = nnx.split(
        nnx.eval_shape(lambda: factory(rngs=nnx.Rngs(jax.random.key(0)))), nnx.Param, ...
    )
    return graph, nnx.to_pure_dict(params), nnx.to_pure_dict(statistics)


@cache
def _small_weights(in_channels=3):
    return resnet_weights(18, in_channels, base=4)


def _small(in_channels=3, **options):
    return _abstract(partial(ResNet, 18, in_channels, base_channels=4, **options))


def _loaded(source, in_channels=3, **options):
    graph, params, statistics = _small(in_channels, **options)
    params, statistics = load_resnet_weights(source, params, statistics)
    return nnx.merge(graph, params, statistics)


@partial(jax.jit, static_argnames=("graph", "mode"))
def _features(graph, mode, params, statistics, inputs):
    network = nnx.merge(graph, params, statistics)
    getattr(network, mode)()
    return network(inputs)


def _recorded(depth, channels, mode):
    with np.load(RECORDED) as recorded:
        return recorded[f"resnet{depth}_{channels}_{mode}"]


def _check_features(features, expected, tolerance):
    every = features.shape[1] // expected.shape[1]
    np.testing.assert_allclose(features[:, ::every], expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_features_of_a_file_are_those_of_timm(depth, tmp_path):
    save_file(resnet_weights(depth), tmp_path / "resnet.safetensors")
    graph, params, statistics = _abstract(partial(ResNet, depth))
    state = load_resnet_weights(tmp_path / "resnet.safetensors", params, statistics)
    features = _features(graph, "eval", *state, jnp.asarray(images()))
    _check_features(features, _recorded(depth, 3, "eval"), 1e-5)


@pytest.mark.parametrize("depth, channels", [(18, 1), (34, 3), (50, 3)])
def test_features_are_those_of_timm_in_both_modes(depth, channels, x64):
    # Normalising by the eight values that a channel has at the end amplifies rounding: in float32
    # 1e-4 would say little of ResNet-50 in train mode.
    graph, params, statistics = _abstract(partial(ResNet, depth, channels))
    state = load_resnet_weights(resnet_weights(depth), params, statistics)
    state = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), state)
    inputs = jnp.asarray(images()[..., :channels], jnp.float64)
    for mode in ("eval", "train"):
        features = _features(graph, mode, *state, inputs)
        _check_features(features, _recorded(depth, channels, mode), 1e-6)


def test_every_value_is_replaced_but_the_dense_layers():
    _, *shapes = _small(width=3)
    params, statistics = jax.tree.map(
        lambda leaf: np.full(leaf.shape, 7, leaf.dtype), tuple(shapes)
    )
    new_params, new_statistics = load_resnet_weights(_small_weights(), params, statistics)
    assert jax.tree.structure((new_params, new_statistics)) == jax.tree.structure(
        (params, statistics)
    )
    for name, leaf in params["dense"].items():
        assert new_params["dense"][name] is leaf
    for tree, new in ((params, new_params), (statistics, new_statistics)):
        for (path, old), leaf in zip(
            jax.tree.leaves_with_path(tree), jax.tree.leaves(new), strict=True
        ):
            assert (leaf.shape, leaf.dtype) == (old.shape, old.dtype)
            assert "dense" in str(path) or np.abs(leaf - old).min() > 0
    np.testing.assert_array_equal(
        new_params["stage_1"]["block_0"]["shortcut_conv"]["kernel"],
        _small_weights()["layer2.0.downsample.0.weight"].transpose(2, 3, 1, 0),
    )
    np.testing.assert_array_equal(
        new_statistics["stage_3"]["block_1"]["norm_1"]["var"],
        _small_weights()["layer4.1.bn2.running_var"],
    )


def test_grey_answers_as_the_same_grey_in_three_channels():
    grey = jnp.asarray(images()[:, :16, :16, :1])
    colour, one = _loaded(_small_weights()), _loaded(_small_weights(), in_channels=1)
    colour.eval()
    one.eval()
    expected = colour(jnp.repeat(grey, 3, axis=-1))
    np.testing.assert_allclose(one(grey), expected, rtol=1e-4, atol=1e-5)


def test_a_stem_of_one_channel_is_taken_as_it_is():
    weights = _small_weights(1)
    _, params, statistics = _small(1)
    params, _ = load_resnet_weights(weights, params, statistics)
    np.testing.assert_array_equal(
        params["stem_conv"]["kernel"], weights["conv1.weight"].transpose(2, 3, 1, 0)
    )


def test_a_video_network_takes_the_same_weights():
    _, params, statistics = _small()
    video = _abstract(partial(VideoResNet, 18, base_channels=4))
    chex.assert_trees_all_equal(
        load_resnet_weights(_small_weights(), *video[1:]),
        load_resnet_weights(_small_weights(), params, statistics),
    )


def test_group_normalisation_takes_weights_without_running_statistics():
    weights = {name: tensor for name, tensor in _small_weights().items() if "running" not in name}
    _, params, statistics = _small(norm="group", groups=2)
    new_params, new_statistics = load_resnet_weights(weights, params, statistics)
    assert new_statistics == {}
    np.testing.assert_array_equal(new_params["stem_norm"]["scale"], weights["bn1.weight"])
    with pytest.raises(ValueError, match=r"no place for: bn1.running_mean, bn1.running_var, .*and"):
        load_resnet_weights(_small_weights(), params, statistics)


def test_values_take_the_dtype_of_the_parameters():
    _, params, statistics = _small(param_dtype=jnp.bfloat16)
    params, statistics = load_resnet_weights(_small_weights(), params, statistics)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.bfloat16)}
    assert {leaf.dtype for leaf in jax.tree.leaves(statistics)} == {jnp.dtype(jnp.float32)}


def test_a_classifier_and_step_counts_are_left_over():
    weights = _small_weights()
    classifier = {"fc.weight": np.ones((5, 32)), "fc.bias": np.ones(5)}
    _, params, statistics = _small()
    chex.assert_trees_all_equal(
        load_resnet_weights(weights | classifier, params, statistics),
        load_resnet_weights(weights, params, statistics),
    )


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"layer1.0.conv2.weight": None},
            r"'layer1.0.conv2.weight' is missing.*nearest.*layer2.0.conv2.weight",
        ),
        ({"bn1.running_var": None}, "'bn1.running_var' is missing"),
        (
            {"layer3.0.bn1.bias": np.zeros(8, np.float32)},
            r"'layer3.0.bn1.bias' has shape \(8,\); the network needs \(16,\)",
        ),
        (
            {"conv1.weight": np.zeros((4, 2, 7, 7), np.float32)},
            r"'conv1.weight' has shape \(4, 2, 7, 7\); the network needs \(4, 3, 7, 7\)",
        ),
        ({"layer1.2.conv1.weight": np.zeros(1)}, "no place for: layer1.2.conv1.weight"),
        ({"fc.weight.extra": np.zeros(1)}, "no place for: fc.weight.extra"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(change, message):
    weights = {
        name: tensor for name, tensor in (_small_weights() | change).items() if tensor is not None
    }
    _, params, statistics = _small()
    with pytest.raises(ValueError, match=message):
        load_resnet_weights(weights, params, statistics)


def test_parameters_of_something_else_are_refused():
    _, params, statistics = _small()
    with pytest.raises(ValueError, match="the parameters hold 'encoders'"):
        load_resnet_weights(_small_weights(), {"encoders": params}, statistics)


def test_a_missing_file_is_named(tmp_path):
    _, params, statistics = _small()
    for path in (tmp_path / "absent.safetensors", str(tmp_path)):
        with pytest.raises(ValueError, match="is missing"):
            load_resnet_weights(path, params, statistics)
