"""`conv` against NumPy in float64, and against ``jax.lax.conv_general_dilated``."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import conv, cpu_convolution

LAYOUTS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}

# Sizes of inputs and kernel, channels of inputs and outputs, and the arguments of the convolution.
CASES = {
    "same": ((7, 6), (3, 3), 2, 3, {}),
    "wide": ((6, 5), (3, 2), 16, 2, {}),
    "wide and dilated": ((8, 7), (3, 2), 16, 2, {"rhs_dilation": (2, 3)}),
    "wide and cropped": ((7, 7), (2, 2), 16, 3, {"padding": ((-1, 0), (1, -2))}),
    "strided": ((9, 8), (3, 3), 2, 3, {"window_strides": (2, 2)}),
    "wide and strided": ((7, 8), (3, 3), 17, 2, {"window_strides": (2, 3)}),
    "pixels left out": ((8, 8), (3, 3), 2, 3, {"window_strides": (3, 3), "padding": "VALID"}),
    "kernel 1, stride 2": ((5, 6), (1, 1), 16, 3, {"window_strides": (2, 2), "padding": "VALID"}),
    "explicit padding": ((6, 5), (3, 3), 2, 3, {"padding": ((2, 0), (1, 3))}),
    "cropped": ((7, 7), (2, 2), 2, 3, {"padding": ((-1, 0), (1, -2))}),
    "dilated": ((9, 8), (3, 2), 2, 3, {"rhs_dilation": (2, 3)}),
    "lower": ((6, 6), (2, 2), 2, 3, {"padding": "SAME_LOWER"}),
    "sequence": ((9,), (3,), 2, 3, {"window_strides": (2,)}),
    "volume": ((4, 5, 4), (2, 3, 2), 2, 3, {"window_strides": (1, 2, 1)}),
    "groups": ((6, 5), (3, 3), 4, 6, {"feature_group_count": 2}),
    "transposed": ((5, 4), (3, 3), 2, 3, {"padding": ((2, 2), (2, 2)), "lhs_dilation": (2, 2)}),
}


def _arrays(case, dtype=np.float32):
    size, window, channels, features, options = CASES[case]
    generator = np.random.default_rng(len(case))
    groups = options.get("feature_group_count", 1)
    x = generator.normal(size=(3, *size, channels)).astype(dtype)
    w = generator.normal(size=(*window, channels // groups, features)).astype(dtype)
    given = {"window_strides": (1,) * len(size), "padding": "SAME"} | options
    return x, w, given | {"dimension_numbers": LAYOUTS[len(size)]}


def _pads(size, window, options):
    if not isinstance(options["padding"], str):
        return options["padding"]
    if options["padding"] == "VALID":
        return [(0, 0)] * len(size)
    edges = []
    for n, k, s in zip(size, window, options["window_strides"], strict=True):
        total = max(0, (-(-n // s) - 1) * s + k - n)
        small, large = total // 2, total - total // 2
        edges.append((large, small) if options["padding"] == "SAME_LOWER" else (small, large))
    return edges


def _reference(x, w, y, options):
    """Outputs, and gradients of ``⟨y, outputs⟩`` if y is given, one position at a time, float64."""
    x, w = x.astype(np.float64), w.astype(np.float64)
    spatial = x.ndim - 2
    dilation = options.get("rhs_dilation", (1,) * spatial)
    spread = options.get("lhs_dilation", (1,) * spatial)
    groups = options.get("feature_group_count", 1)
    strides = options["window_strides"]
    size = [(n - 1) * d + 1 for n, d in zip(x.shape[1:-1], spread, strict=True)]
    window = [(k - 1) * d + 1 for k, d in zip(w.shape[:-2], dilation, strict=True)]
    pads = _pads(size, window, options)
    full = [n + low + high for n, (low, high) in zip(size, pads, strict=True)]
    out = [(n - k) // s + 1 for n, k, s in zip(full, window, strides, strict=True)]

    # Where each element of x lies in the padded inputs; cropped elements lie nowhere.
    padded = np.zeros((len(x), *full, x.shape[-1]))
    places = {}
    for at in np.ndindex(*x.shape[1:-1]):
        to = tuple(i * d + low for i, d, (low, _) in zip(at, spread, pads, strict=True))
        if all(0 <= i < n for i, n in zip(to, full, strict=True)):
            places[at] = to
            padded[(slice(None), *to)] = x[(slice(None), *at)]
    outputs = np.zeros((len(x), *out, w.shape[-1]))
    of_padded, of_kernel = np.zeros_like(padded), np.zeros_like(w)
    inner, features = w.shape[-2], w.shape[-1] // groups
    for at, tap, group in itertools.product(
        np.ndindex(*out), np.ndindex(*w.shape[:-2]), range(groups)
    ):
        place = tuple(p * s + k * d for p, s, k, d in zip(at, strides, tap, dilation, strict=True))
        into = slice(group * inner, (group + 1) * inner)
        to = slice(group * features, (group + 1) * features)
        read = (slice(None), *place, into)
        outputs[(slice(None), *at, to)] += padded[read] @ w[(*tap, slice(None), to)]
        if y is not None:
            cotangent = y[(slice(None), *at, to)].astype(np.float64)
            of_padded[read] += cotangent @ w[(*tap, slice(None), to)].T
            of_kernel[(*tap, slice(None), to)] += padded[read].T @ cotangent
    of_inputs = np.zeros_like(x)
    for at, to in places.items():
        of_inputs[(slice(None), *at)] = of_padded[(slice(None), *to)]
    return outputs, of_inputs, of_kernel


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_those_of_numpy(case):
    x, w, options = _arrays(case)
    outputs, pull_back = jax.vjp(partial(conv, **options), x, w)
    y = np.random.default_rng(1).normal(size=outputs.shape).astype(np.float32)
    expected = _reference(x, w, y, options)

    for found, each in zip((outputs, *pull_back(jnp.asarray(y))), expected, strict=True):
        np.testing.assert_allclose(found, each, rtol=1e-4, atol=1e-4)


def _lax(x, w, **options):
    return jax.lax.conv_general_dilated(x, w, **options)


def _curved(function, options):
    """A loss with second derivatives of every kind."""
    return lambda x, w: jnp.sum(jnp.tanh(function(x, w, **options)))


def _hvp_forward_over_reverse(loss, x, w, v):
    return jax.jvp(jax.grad(loss, (0, 1)), (x, w), v)[1]


def _hvp_reverse_over_reverse(loss, x, w, v):
    def along(x, w):
        pairs = zip(jax.grad(loss, (0, 1))(x, w), v, strict=True)
        return sum(jnp.vdot(g, d) for g, d in pairs)

    return jax.grad(along, (0, 1))(x, w)


def _hvp_reverse_over_forward(loss, x, w, v):
    return jax.grad(lambda x, w: jax.jvp(loss, (x, w), v)[1], (0, 1))(x, w)


DERIVATIVES = {
    "jvp": lambda loss, x, w, v: jax.jvp(loss, (x, w), v),
    "forward over reverse": _hvp_forward_over_reverse,
    "reverse over reverse": _hvp_reverse_over_reverse,
    "reverse over forward": _hvp_reverse_over_forward,
}


@pytest.mark.parametrize("case", ["strided", "wide", "transposed"])
@pytest.mark.parametrize("derivative", DERIVATIVES)
def test_higher_derivatives_are_those_of_lax(derivative, case):
    x, w, options = _arrays(case)
    along = tuple(jnp.asarray(np.roll(each, 1), jnp.float32) for each in (x, w))
    found, expected = (
        jax.jit(partial(DERIVATIVES[derivative], _curved(function, options)))(x, w, along)
        for function in (conv, _lax)
    )
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("axes", [(0, 0), (None, 0), (0, None), (2, 1)])
def test_vmap_of_gradients_is_a_loop(axes):
    x, w, options = _arrays("strided")
    weights = jnp.asarray([1.0, -2.0])
    stacked = [
        each if axis is None else jnp.stack([each, each[::-1]], axis)
        for each, axis in zip(map(jnp.asarray, (x, w)), axes, strict=True)
    ]
    gradient = jax.grad(_curved(conv, options), (0, 1))
    found = jax.vmap(gradient, axes)(*stacked)
    # A sum over the mapped copies, so that cotangents of shared operands are added up.
    total = jax.grad(lambda x, w: weights @ jax.vmap(_curved(conv, options), axes)(x, w), (0, 1))(
        *stacked
    )

    def at(i):
        pairs = zip(stacked, axes, strict=True)
        return [each if axis is None else jnp.take(each, i, axis) for each, axis in pairs]

    singles = [jax.grad(_curved(_lax, options), (0, 1))(*at(i)) for i in range(2)]
    for position, axis in enumerate(axes):
        each = jnp.stack([single[position] for single in singles])
        np.testing.assert_allclose(found[position], each, rtol=1e-4, atol=1e-4)
        weighted = weights.reshape(-1, *[1] * (each.ndim - 1)) * each
        expected = weighted.sum(0) if axis is None else jnp.moveaxis(weighted, 0, axis)
        np.testing.assert_allclose(total[position], expected, rtol=1e-4, atol=1e-4)


def test_vmap_twice():
    x, w, options = _arrays("same")
    inputs = jnp.stack([x, 2 * x])
    kernels = jnp.stack([w, -w, 3 * w])

    def gradients(function):
        gradient = jax.grad(_curved(function, options), (0, 1))
        return jax.vmap(jax.vmap(gradient, (None, 0)), (0, None))(inputs, kernels)

    for found, expected in zip(gradients(conv), gradients(_lax), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", [None, ("NHWC", "OIHW", "NCHW"), ("HWCN", "IHWO", "HNWC")])
def test_layouts(layout):
    x, w, options = _arrays("strided")
    inputs, kernel = layout[:2] if layout else ("NCHW", "OIHW")
    x = jnp.transpose(x, ["NHWC".index(axis) for axis in inputs])
    w = jnp.transpose(w, ["HWIO".index(axis) for axis in kernel])
    options = options | {"dimension_numbers": layout}

    for found, expected in zip(
        jax.grad(_curved(conv, options), (0, 1))(x, w),
        jax.grad(_curved(_lax, options), (0, 1))(x, w),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("preferred", [None, jnp.float32])
def test_half_precision(preferred):
    x, w, options = _arrays("same")
    options = options | {"preferred_element_type": preferred}
    narrow = [jnp.asarray(each, jnp.bfloat16) for each in (x, w)]

    def loss(x, w):
        return conv(x, w, **options).astype(jnp.float32).sum()

    found = jax.grad(loss, (0, 1))(*narrow)
    ones = np.ones(jax.eval_shape(partial(conv, **options), *narrow).shape)
    expected = _reference(*(np.asarray(each, np.float64) for each in narrow), ones, options)[1:]

    for one, other in zip(found, expected, strict=True):
        assert one.dtype == jnp.bfloat16
        np.testing.assert_allclose(one.astype(jnp.float32), other, rtol=2e-2, atol=5e-2)


def test_double_precision():
    with jax.enable_x64(True):
        x, w, options = _arrays("strided", np.float64)
        outputs, pull_back = jax.vjp(partial(conv, **options), x, w)
        y = np.random.default_rng(1).normal(size=outputs.shape)
        found = (outputs, *pull_back(jnp.asarray(y)))

    for one, other in zip(found, _reference(x, w, y, options), strict=True):
        assert one.dtype == np.float64
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_elsewhere_the_program_is_that_of_lax(platform):
    x, w, options = _arrays("strided")

    def program(function):
        gradient = jax.jit(jax.grad(_curved(function, options), (0, 1)))
        return gradient.trace(x, w).lower(lowering_platforms=(platform,)).as_text()

    assert program(conv) == program(_lax)


def test_on_the_cpu_the_kernels_gradient_is_made_of_products():
    x, w, options = _arrays("strided")
    gradient = jax.jit(jax.grad(_curved(conv, options), 1))
    text = gradient.trace(x, w).lower(lowering_platforms=("cpu",)).as_text()

    assert text.count("stablehlo.convolution") == 1  # forward
    assert "stablehlo.dot_general" in text


def test_devices_of_shard_map_sum_the_gradient_of_a_replicated_kernel():
    x, w, options = _arrays("strided")
    x = jnp.concatenate([x, x + 1])[:4]
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    whole, shards = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec("data")
    mapped = jax.shard_map(
        jax.grad(_curved(conv, options), 1), mesh=mesh, in_specs=(shards, whole), out_specs=whole
    )

    found, expected = jax.jit(mapped)(x, w), jax.grad(_curved(_lax, options), 1)(x, w)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_without_jit():
    x, w, options = _arrays("same")
    with jax.disable_jit():
        found = jax.grad(_curved(conv, options), 1)(jnp.asarray(x), jnp.asarray(w))

    expected = jax.grad(_curved(_lax, options), 1)(x, w)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_layer_of_flax_takes_it():
    layers = [
        nnx.Conv(2, 3, (3, 3), strides=2, rngs=nnx.Rngs(0), **options)
        for options in ({}, {"conv_general_dilated": conv})
    ]
    x = jnp.asarray(_arrays("same")[0])

    np.testing.assert_array_equal(layers[0](x), layers[1](x))


def test_errors_are_those_of_lax():
    x, w, options = _arrays("same")
    with pytest.raises((TypeError, ValueError)) as expected:
        _lax(x, w[:, :, :1], **options)
    with pytest.raises(expected.type, match="feature"):
        conv(x, w[:, :, :1], **options)


@pytest.mark.parametrize("case", ["wide and strided", "strided", "volume"])
def test_a_batch_may_be_taken_in_turns(monkeypatch, case):
    x, w, options = _arrays(case)
    y = np.random.default_rng(1).normal(size=_lax(x, w, **options).shape).astype(np.float32)
    monkeypatch.setattr(cpu_convolution, "_COLUMNS", 1)

    gradient = jax.jit(lambda x, w: jnp.vdot(conv(x, w, **options), y))
    found = jax.grad(gradient, 1)(x, w)

    np.testing.assert_allclose(found, _reference(x, w, y, options)[2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 16])
def test_turns_of_half_precision_add_up_in_float32(monkeypatch, channels):
    monkeypatch.setattr(cpu_convolution, "_COLUMNS", 1)
    # One sample of 1 and 512 of 2⁻⁹, each of which is lost beside 1 in bfloat16.
    y = np.full((513, 1, 1), 2.0**-9, np.float32)
    y[0] = 1
    x, w, y = (
        jnp.asarray(each, jnp.bfloat16)
        for each in (np.ones((513, 3, channels)), np.ones((3, channels, 1)), y)
    )
    options = {"window_strides": (2,), "padding": "VALID", "dimension_numbers": LAYOUTS[1]}

    _, pull_back = jax.vjp(lambda w: conv(x, w, **options), w)
    (found,) = pull_back(y)

    assert found.dtype == jnp.bfloat16
    np.testing.assert_array_equal(found.astype(jnp.float32), np.full(w.shape, 2.0))
