"""Gradients of convolutions in the forms that XLA's CPU backend computes fast."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from masam_jax.core.numerics import is_narrow
from masam_jax.models.convolution_form import INPUTS, KERNEL, OUTPUTS, Form

# With fewer channels, products for each row of the kernel are too thin: one product takes them all.
_THIN = 16
# What may be copied for a product.
_COLUMNS = 8 * 2**20


def on_cpu(
    form: Form, missing: int, first: jax.Array, second: jax.Array, *, mapped: bool
) -> jax.Array:
    """The ``missing`` one of inputs, kernel and outputs, of the other two in this order.

    Args:
      form: the convolution.
      missing: which one.
      first: of the other two.
      second: of the other two.
      mapped: whether a ``vmap`` maps both, which makes groups of a convolution, and those are slow.
    """
    if missing == OUTPUTS or not _is_covered(form):
        return form.by_lax(missing, first, second)
    if missing == INPUTS:
        return _inputs(form, first, second)
    channels = form.shapes[INPUTS].shape[form.dimension_numbers.lhs_spec[1]]
    strided = any(stride > 1 for stride in form.window_strides)
    by_products = mapped or strided or channels < _THIN
    return (_kernel_by_products if by_products else _kernel)(form, first, second)


def _is_covered(form: Form) -> bool:
    return (
        len(form.window_strides) > 0
        and all(dilation == 1 for dilation in form.lhs_dilation or ())
        and form.feature_group_count == form.batch_group_count == 1
        and all(jnp.issubdtype(each.dtype, jnp.floating) for each in form.shapes)
        and all(isinstance(size, int) and size > 0 for each in form.shapes for size in each.shape)
    )


def _kernel_by_products(form: Form, inputs: jax.Array, outputs: jax.Array) -> jax.Array:
    """``w[k, c, o] = Σ_{n, p} x[n, s p + d k, c] y[n, p, o]``, x with its padding.

    Few samples at a time, so that what is copied for a product is still in the cache when it is
    multiplied, and never takes much memory.
    """
    specs = form.dimension_numbers
    y = jnp.transpose(outputs, _channels_last(specs.out_spec))
    x = jnp.transpose(inputs, _channels_last(specs.lhs_spec)).astype(y.dtype)
    edges = [(0, 0, 0), *((low, high, 0) for low, high in _padding(form)), (0, 0, 0)]
    x = jax.lax.pad(x, jnp.zeros((), x.dtype), edges)
    count = _samples_at_a_time(form, x.dtype.itemsize)
    turns = len(x) // count
    # Sample i has its turn with i + turns: a batch that is laid over devices stays there.
    x, y = (each.reshape(count, turns, *each.shape[1:]) for each in (x, y))

    def products(turn: Any) -> jax.Array:
        return _products(form, *(jax.lax.dynamic_index_in_dim(z, turn, 1, False) for z in (x, y)))

    total = jax.lax.fori_loop(1, turns, lambda turn, sum_: sum_ + products(turn), products(0))
    kernel = total.reshape(*_kernel_size(form), x.shape[-1], y.shape[-1])
    return _like_kernel(form, kernel)


def _kernel(form: Form, inputs: jax.Array, outputs: jax.Array) -> jax.Array:
    """A convolution of the inputs with the outputs, whose batch is the channels of the inputs."""
    specs = form.dimension_numbers
    y = jnp.transpose(outputs, (*specs.out_spec[2:], specs.out_spec[0], specs.out_spec[1]))
    x = jnp.transpose(inputs, (specs.lhs_spec[1], *specs.lhs_spec[2:], specs.lhs_spec[0]))
    edges = []
    for size, window, (low, _), outs in zip(
        _input_size(form), _window(form), _padding(form), y.shape, strict=False
    ):
        edges.append((low, window - 1 + outs - size - low))
    kernel = jax.lax.conv_general_dilated(
        x.astype(y.dtype),
        y,
        window_strides=form.rhs_dilation or (1,) * len(edges),
        padding=edges,
        dimension_numbers=_fast_layout(y.ndim),
        precision=form.precision,
    )
    return _like_kernel(form, jnp.moveaxis(kernel, 0, -2))


def _like_kernel(form: Form, kernel: jax.Array) -> jax.Array:
    """From ``[*spatial, I, O]``."""
    axes = [_kernel_axes(form).index(axis) for axis in range(kernel.ndim)]
    return jnp.transpose(kernel, axes).astype(form.shapes[KERNEL].dtype)


def _samples_at_a_time(form: Form, itemsize: int) -> int:
    """The most that divide the batch and whose columns are of `_COLUMNS` bytes."""
    inputs, kernel, outputs = (each.shape for each in form.shapes)
    batch = inputs[form.dimension_numbers.lhs_spec[0]]
    if math.prod(_kernel_size(form)) == 1:
        return batch
    positions = math.prod(outputs[i] for i in form.dimension_numbers.out_spec[2:])
    taps = math.prod(kernel) // kernel[form.dimension_numbers.rhs_spec[0]]
    most = max(1, _COLUMNS // (positions * taps * itemsize))
    return max(count for count in range(1, batch + 1) if batch % count == 0 and count <= most)


def _products(form: Form, x: jax.Array, y: jax.Array) -> jax.Array:
    """``[taps, C, O]`` of padded inputs and outputs of some samples; narrow ones in float32."""
    size, window = y.shape[1:-1], _kernel_size(form)
    summed = tuple(range(y.ndim - 1))
    wide = jnp.float32 if is_narrow(y.dtype) else y.dtype

    def taps(x: jax.Array, axes: Sequence[int]) -> list[jax.Array]:
        return [
            _tap(form, x, dict(zip(axes, tap, strict=True)), size)
            for tap in itertools.product(*(range(window[axis]) for axis in axes))
        ]

    def product(columns: jax.Array) -> jax.Array:
        return jax.lax.dot_general(
            columns,
            y,
            ((summed, summed), ((), ())),
            precision=form.precision,
            preferred_element_type=wide,
        )

    if x.shape[-1] < _THIN:
        # Each column is written in one piece.
        rows = jnp.stack([jnp.moveaxis(tap, -1, 0) for tap in taps(x, range(len(size)))])
        columns = rows.reshape(-1, math.prod(y.shape[:-1]))
        return jax.lax.dot(
            columns,
            y.reshape(-1, y.shape[-1]),
            precision=form.precision,
            preferred_element_type=wide,
        )
    *others, last = range(len(size))
    columns = jnp.concatenate(taps(x, [last]), axis=-1)
    return jnp.stack([product(tap) for tap in taps(columns, others)])


def _tap(form: Form, x: jax.Array, at: Mapping[int, int], size: Sequence[int]) -> jax.Array:
    """What one position of the kernel multiplies, along the spatial axes in ``at``."""
    start, stop, steps = [0] * x.ndim, list(x.shape), [1] * x.ndim
    for axis, k in at.items():
        stride = form.window_strides[axis]
        start[axis + 1] = k * (form.rhs_dilation[axis] if form.rhs_dilation else 1)
        stop[axis + 1] = start[axis + 1] + (size[axis] - 1) * stride + 1
        steps[axis + 1] = stride
    return jax.lax.slice(x, start, stop, steps)


def _inputs(form: Form, kernel: jax.Array, outputs: jax.Array) -> jax.Array:
    """A convolution of the outputs, spread by the strides, with the flipped kernel."""
    specs = form.dimension_numbers
    y = jnp.transpose(outputs, _channels_last(specs.out_spec))
    spatial = tuple(range(y.ndim - 2))
    flipped = jnp.flip(jnp.transpose(kernel, _kernel_axes(form)), spatial).astype(y.dtype)
    x = jax.lax.conv_general_dilated(
        y,
        jnp.swapaxes(flipped, -1, -2),
        window_strides=(1,) * len(spatial),
        padding=_padding_of_inputs(form, y.shape[1:-1]),
        lhs_dilation=form.window_strides,
        rhs_dilation=form.rhs_dilation,
        dimension_numbers=_fast_layout(y.ndim),
        precision=form.precision,
    )
    axes = [_channels_last(specs.lhs_spec).index(axis) for axis in range(x.ndim)]
    return jnp.transpose(x, axes).astype(form.shapes[INPUTS].dtype)


def _padding_of_inputs(form: Form, out_size: Sequence[int]) -> list[tuple[int, int]]:
    edges = []
    for size, window, (low, _), stride, outputs in zip(
        _input_size(form), _window(form), _padding(form), form.window_strides, out_size, strict=True
    ):
        before = window - 1 - low
        edges.append((before, size + window - 1 - ((outputs - 1) * stride + 1) - before))
    return edges


def _padding(form: Form) -> Sequence[tuple[int, int]]:
    if not isinstance(form.padding, str):
        return form.padding
    pads: Sequence[tuple[int, int]] = jax.lax.padtype_to_pads(
        _input_size(form), _window(form), form.window_strides, form.padding
    )
    return pads


def _input_size(form: Form) -> tuple[int, ...]:
    return tuple(form.shapes[INPUTS].shape[i] for i in form.dimension_numbers.lhs_spec[2:])


def _kernel_size(form: Form) -> tuple[int, ...]:
    return tuple(form.shapes[KERNEL].shape[i] for i in form.dimension_numbers.rhs_spec[2:])


def _window(form: Form) -> tuple[int, ...]:
    """The kernel's extent, with its dilation."""
    size = _kernel_size(form)
    dilation = form.rhs_dilation or (1,) * len(size)
    return tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))


def _fast_layout(rank: int) -> jax.lax.ConvDimensionNumbers:
    """``[N, *spatial, C]``, ``[*spatial, I, O]``, ``[N, *spatial, C]``.

    XLA brings other layouts to this one at the top level of a program alone: within control flow
    they are 15 to 40 times slower.
    """
    data = (0, rank - 1, *range(1, rank - 1))
    return jax.lax.ConvDimensionNumbers(data, (rank - 1, rank - 2, *range(rank - 2)), data)


def _channels_last(spec: Sequence[int]) -> tuple[int, ...]:
    """Axes that bring inputs or outputs to ``[N, *spatial, C]``."""
    return (spec[0], *spec[2:], spec[1])


def _kernel_axes(form: Form) -> tuple[int, ...]:
    """Axes that bring the kernel to ``[*spatial, I, O]``."""
    outputs, inputs, *spatial = form.dimension_numbers.rhs_spec
    return (*spatial, inputs, outputs)
