from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models.resnet import ResNet


def _images(*shape):
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), jnp.float32)


def _shapes(*args, **options):
    return nnx.eval_shape(lambda: ResNet(*args, **options, rngs=nnx.Rngs(jax.random.key(0))))


def _split(network):
    graph, params, statistics = nnx.split(network, nnx.Param, ...)
    return graph, nnx.to_pure_dict(params), nnx.to_pure_dict(statistics)


def _small(**options):
    """A small network's graph, random parameters, and statistics before the first step."""
    graph, params, statistics = _split(_shapes(18, base_channels=4, **options))
    start = {"mean": jnp.zeros, "var": jnp.ones}
    statistics = jax.tree.map_with_path(
        lambda path, leaf: start[path[-1].key](leaf.shape, leaf.dtype), statistics
    )
    return graph, _random_like(params, jnp.float32), statistics


def _random_like(tree, dtype):
    """Values for every leaf that leave no layer at its initial identity."""
    rng = np.random.default_rng(1)

    def draw(path, leaf):
        if path[-1].key in ("scale", "var"):
            return jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), dtype)
        limit = np.sqrt(3.0 / np.prod(leaf.shape[:-1]))
        return jnp.asarray(rng.uniform(-limit, limit, leaf.shape), dtype)

    return jax.tree.map_with_path(draw, tree)


def _windows(images, size, stride, border):
    """[B, H', W', C, size, size]"""
    borders = ((0, 0), (size // 2, size // 2), (size // 2, size // 2), (0, 0))
    padded = np.pad(images, borders, constant_values=border)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    return windows[:, ::stride, ::stride]


@partial(jax.jit, static_argnames=("graph", "mode"))
def _run(graph, mode, params, statistics, images):
    network = nnx.merge(graph, params, statistics)
    getattr(network, mode)()
    features = network(images)
    return features, nnx.to_pure_dict(nnx.state(network, nnx.BatchStat))


def _apply(*arguments):
    return _run(*arguments)[0]


class _Reference:
    """The equations of He et al. in NumPy float64, over the network's own dicts."""

    def __init__(self, params, statistics, *, groups=None, train=False):
        as_float64 = lambda leaf: np.asarray(leaf, np.float64)  # noqa: E731
        self.params = jax.tree.map(as_float64, params)
        self.statistics = jax.tree.map(as_float64, statistics)
        self.groups, self.train = groups, train

    def conv_norm(self, images, where, conv, norm, stride):
        params, statistics = self.params, self.statistics
        for key in where:
            params, statistics = params[key], statistics.get(key, {})
        kernel = params[conv]["kernel"]
        windows = _windows(images, kernel.shape[0], stride, 0.0)
        values = np.einsum("bhwcij,ijco->bhwo", windows, kernel)
        if self.groups:
            grouped = values.reshape(*values.shape[:3], self.groups, -1)
            mean, var = (f(grouped, axis=(1, 2, 4), keepdims=True) for f in (np.mean, np.var))
            values = ((grouped - mean) / np.sqrt(var + 1e-5)).reshape(values.shape)
        else:
            mean, var = statistics[norm]["mean"], statistics[norm]["var"]
            if self.train:
                mean, var = values.mean((0, 1, 2)), values.var((0, 1, 2))
            values = (values - mean) / np.sqrt(var + 1e-5)
        return values * params[norm]["scale"] + params[norm]["bias"]

    def block(self, images, where, stride, sizes):
        values = images
        for index in range(len(sizes)):
            # The stride is in the first 3 x 3 convolution.
            layer_stride = stride if index == sizes.index(3) else 1
            values = self.conv_norm(values, where, f"conv_{index}", f"norm_{index}", layer_stride)
            if index < len(sizes) - 1:
                values = np.maximum(values, 0)
        block = self.params[where[0]][where[1]]
        assert block["conv_1"]["kernel"].shape[:2] == (3, 3)
        if "shortcut_conv" in block:
            images = self.conv_norm(images, where, "shortcut_conv", "shortcut_norm", stride)
        return np.maximum(images + values, 0)

    def features(self, images, blocks, sizes, *, small_stem=False):
        values = np.asarray(images, np.float64)
        values = self.conv_norm(values, (), "stem_conv", "stem_norm", 1 if small_stem else 2)
        values = np.maximum(values, 0)
        if not small_stem:
            values = _windows(values, 3, 2, -np.inf).max((-2, -1))
        for stage, count in enumerate(blocks):
            for block in range(count):
                stride = 2 if stage and not block else 1
                values = self.block(values, (f"stage_{stage}", f"block_{block}"), stride, sizes)
        values = values.mean((1, 2))
        if "dense" in self.params:
            values = values @ self.params["dense"]["kernel"] + self.params["dense"]["bias"]
        return values


@pytest.mark.parametrize(
    "depth, shape, options",
    [
        (18, (2, 32, 32, 3), {}),
        (34, (2, 19, 30, 1), {"width": 5}),
        (50, (2, 32, 17, 3), {"norm": "group", "groups": 2}),
        (18, (2, 16, 16, 2), {"small_stem": True, "norm": "group", "groups": 4, "width": 5}),
    ],
)
def test_is_the_published_network(depth, shape, options, x64):
    blocks = (2, 2, 2, 2) if depth == 18 else (3, 4, 6, 3)
    sizes = (1, 3, 1) if depth == 50 else (3, 3)
    images = _images(*shape)
    graph, params, statistics = _split(_shapes(depth, shape[-1], base_channels=4, **options))
    params, statistics = _random_like((params, statistics), jnp.float64)
    for mode in ("train", "eval") if statistics else ("train",):
        reference = _Reference(
            params, statistics, groups=options.get("groups"), train=mode == "train"
        )
        expected = reference.features(
            images, blocks, sizes, small_stem=options.get("small_stem", False)
        )
        features = _apply(graph, mode, params, statistics, images.astype(jnp.float64))
        assert expected.std() > 0.01
        np.testing.assert_allclose(features, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("depth, count", [(18, 11_176_512), (34, 21_284_672), (50, 23_508_032)])
def test_published_sizes(depth, count):
    network = _shapes(depth)
    _, params, statistics = _split(network)
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count
    assert network.feature_size == (2048 if depth == 50 else 512)
    images = jax.ShapeDtypeStruct((3, 224, 224, 3), jnp.float32)
    features = nnx.eval_shape(lambda network, images: network(images), network, images)
    assert features.shape == (3, network.feature_size)
    assert jax.tree.leaves(statistics)


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("in_channels, width", [(1, 512), (3, None), (7, 1)])
def test_features_have_the_size_asked_for(norm, in_channels, width):
    network = _shapes(18, in_channels, width=width, norm=norm)
    images = jax.ShapeDtypeStruct((2, 257, 188, in_channels), jnp.float32)
    features = nnx.eval_shape(lambda network, images: network(images), network, images)
    assert features.shape == (2, width or 512)
    assert network.feature_size == (width or 512)


def test_parameters_are_nested_dicts_with_the_documented_names():
    _, params, statistics = _split(_shapes(50, width=8))
    assert sorted(params) == [
        "dense",
        *(f"stage_{index}" for index in range(4)),
        "stem_conv",
        "stem_norm",
    ]
    assert [len(params[f"stage_{index}"]) for index in range(4)] == [3, 4, 6, 3]
    block = params["stage_1"]["block_0"]
    assert sorted(block) == [
        *(f"conv_{index}" for index in range(3)),
        *(f"norm_{index}" for index in range(3)),
        "shortcut_conv",
        "shortcut_norm",
    ]
    assert type(block["conv_1"]) is dict
    assert block["conv_1"]["kernel"].shape == (3, 3, 128, 128)
    assert sorted(statistics["stem_norm"]) == ["mean", "var"]


def test_group_normalisation_has_no_state_but_parameters():
    _, params, statistics = _split(_shapes(18, norm="group"))
    assert statistics == {}
    assert jax.tree.structure(params) == jax.tree.structure(_split(_shapes(18))[1])


def test_initial_kernels_are_kaiming_normal_by_fan_out():
    @jax.jit
    def draw(key):
        # Of a whole network, but only these are compiled.
        params = _split(ResNet(18, 1, base_channels=32, rngs=nnx.Rngs(key)))[1]
        return (
            params["stem_conv"]["kernel"],
            params["stage_3"]["block_1"]["conv_0"]["kernel"],
            params["stage_2"]["block_0"]["shortcut_conv"]["kernel"],
        )

    kernels = draw(jax.random.key(0))
    for kernel, fan_out in zip(kernels, (7 * 7 * 32, 3 * 3 * 256, 128), strict=True):
        assert abs(float(kernel.std()) / np.sqrt(2 / fan_out) - 1) < 0.05
        assert abs(float(kernel.mean())) < 0.05 * float(kernel.std())
        # Truncated at two standard deviations, as many initialisers are, this would be 0.
        assert float((jnp.abs(kernel) > 2.2 * kernel.std()).mean()) > 0.01


def test_training_moves_the_running_statistics_by_a_tenth():
    graph, params, statistics = _small()
    images = _images(4, 16, 16, 3)
    moved = _run(graph, "train", params, statistics, images)[1]["stem_norm"]
    windows = _windows(np.asarray(images, np.float64), 7, 2, 0.0)
    kernel = np.asarray(params["stem_conv"]["kernel"], np.float64)
    values = np.einsum("bhwcij,ijco->bhwo", windows, kernel)
    np.testing.assert_allclose(moved["mean"], 0.1 * values.mean((0, 1, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(moved["var"], 0.9 + 0.1 * values.var((0, 1, 2)), rtol=1e-4)


def test_evaluation_sees_each_row_alone_and_training_the_batch():
    graph, params, statistics = _small()
    images = _images(4, 16, 16, 3)
    evaluated = _apply(graph, "eval", params, statistics, images)
    alone = _apply(graph, "eval", params, statistics, images[:2])
    np.testing.assert_allclose(evaluated[:2], alone, rtol=1e-4, atol=1e-5)
    trained = _apply(graph, "train", params, statistics, images)
    together = _apply(graph, "train", params, statistics, images[:2])
    assert jnp.abs(trained[:2] - together).max() > 0.01
    assert jnp.abs(trained - evaluated).max() > 0.01


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_half_precision_computes_close_to_single(norm):
    images = _images(4, 16, 16, 3)
    options = {"norm": norm, "groups": 2, "width": 6}
    graph, params, statistics = _small(**options)
    half, *_ = _small(**options, dtype=jnp.bfloat16)
    expected = _apply(graph, "eval", params, statistics, images)
    features = _apply(half, "eval", params, statistics, images)
    assert (expected.dtype, features.dtype) == (jnp.float32, jnp.bfloat16)
    difference = jnp.abs(features.astype(jnp.float32) - expected).max()
    assert 0 < difference < 0.05 * jnp.abs(expected).max()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"depth": 20}, r"depth is 20; it must be one of \[18, 34, 50\]"),
        ({"in_channels": 0}, "in_channels must be an integer >= 1, got 0"),
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"base_channels": 0}, "base_channels must be an integer >= 1, got 0"),
        ({"norm": "layer"}, r"norm must be one of \['batch', 'group'\], got 'layer'"),
        ({"small_stem": 1}, "small_stem must be True or False"),
        ({"norm": "group", "groups": 0}, "groups is 0"),
        ({"norm": "group", "base_channels": 8}, "groups is 32; it must divide base_channels=8"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResNet(**({"depth": 18} | arguments), rngs=nnx.Rngs(0))


@pytest.mark.parametrize("shape", [(2, 8, 8, 1), (8, 8, 3), (2, 4, 8, 8, 3)])
def test_other_inputs_are_refused(shape):
    with pytest.raises(ValueError, match=r"images \[B, H, W, 3\] are needed"):
        _shapes(18)(jnp.zeros(shape))
