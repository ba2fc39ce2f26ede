"""`conv`, a convolution whose gradients are fast on the CPU."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.typing import DTypeLike

from masam_jax.core.numerics import platform_of
from masam_jax.models.convolution_form import INPUTS, KERNEL, OUTPUTS, Form
from masam_jax.models.cpu_convolution import on_cpu

# Which operands are mapped by one `jax.vmap`, whose axis then comes first.
Level = tuple[bool, bool]


def conv(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    lhs_dilation: Sequence[int] | None = None,
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: Any = None,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    precision: Any = None,
    preferred_element_type: DTypeLike | None = None,
    out_sharding: Any = None,
) -> jax.Array:
    """``jax.lax.conv_general_dilated``, with gradients that are fast on the CPU.

    Arguments, values and errors are the same, so it goes wherever that function goes:
    ``nnx.Conv(..., conv_general_dilated=conv)``, likewise in Linen. So do ``grad``, ``jvp``, their
    compositions of any order, and ``vmap``.

    XLA's CPU backend is slow at gradients of kernels of few channels or with strides, and at all
    gradients within ``switch``, ``cond`` and ``scan``. In programs for CPUs, the former are here
    matrix products, and other gradients convolutions in the one layout that XLA's fast code takes.
    In programs for GPUs and TPUs, and with ``lhs_dilation``, groups or complex numbers, the
    operations are those of ``jax.lax.conv_general_dilated``.

    Args:
      lhs: inputs, ``[N, C, *spatial]`` unless ``dimension_numbers`` says otherwise.
      rhs: the kernel, ``[O, C / groups, *spatial]`` unless ``dimension_numbers`` says otherwise.
      window_strides: a stride for each spatial axis.
      padding: "SAME", "SAME_LOWER", "VALID", or ``(low, high)`` for each spatial axis.
      lhs_dilation: of the inputs, for each spatial axis.
      rhs_dilation: of the kernel, for each spatial axis.
      dimension_numbers: the layouts of inputs, kernel and outputs, such as
        ``("NHWC", "HWIO", "NHWC")``.
      feature_group_count: number of groups of channels.
      batch_group_count: number of groups of samples.
      precision: see ``jax.lax.Precision``.
      preferred_element_type: dtype of the outputs.
      out_sharding: sharding of the outputs. Arrays with explicit shardings are left to
        ``jax.lax.conv_general_dilated``.

    Returns:
      The outputs.
    """
    options: dict[str, Any] = {
        "window_strides": window_strides,
        "padding": padding,
        "lhs_dilation": lhs_dilation,
        "rhs_dilation": rhs_dilation,
        "dimension_numbers": dimension_numbers,
        "feature_group_count": feature_group_count,
        "batch_group_count": batch_group_count,
        "precision": precision,
        "preferred_element_type": preferred_element_type,
    }
    specs = [jax.typeof(x).sharding.spec for x in (lhs, rhs)]
    if out_sharding is not None or any(axis is not None for spec in specs for axis in spec):
        return jax.lax.conv_general_dilated(lhs, rhs, **options, out_sharding=out_sharding)
    lhs, rhs = _varying_alike(jnp.asarray(lhs), jnp.asarray(rhs))
    form = Form.of(lhs, rhs, **options)
    outputs: jax.Array = _primitive.bind(lhs, rhs, form=form, missing=OUTPUTS, levels=())
    return outputs


def _varying_alike(lhs: jax.Array, rhs: jax.Array) -> list[jax.Array]:
    """Both marked as varying over the devices of ``shard_map`` over which either does."""
    varying = [jax.typeof(x).manual_axis_type.varying for x in (lhs, rhs)]
    missing = [tuple(sorted(varying[1 - i] - varying[i])) for i in range(2)]
    pairs = zip((lhs, rhs), missing, strict=True)
    return [jax.lax.pcast(x, axes, to="varying") if axes else x for x, axes in pairs]


def _mapped(function: Any, levels: tuple[Level, ...]) -> Any:
    """``function`` under one ``vmap`` for each level, the outermost first."""
    for level in reversed(levels):
        function = jax.vmap(function, in_axes=tuple(0 if mapped else None for mapped in level))
    return function


def _as_lax(
    first: jax.Array, second: jax.Array, *, form: Form, missing: int, levels: tuple[Level, ...]
) -> jax.Array:
    return _mapped(functools.partial(form.by_lax, missing), levels)(first, second)


def _as_products(
    first: jax.Array, second: jax.Array, *, form: Form, missing: int, levels: tuple[Level, ...]
) -> jax.Array:
    both = any(all(level) for level in levels)
    return _mapped(functools.partial(on_cpu, form, missing, mapped=both), levels)(first, second)


def _shape(first: Any, second: Any, *, form: Form, missing: int, levels: tuple[Level, ...]) -> Any:
    sizes = []
    for i, level in enumerate(levels):
        position = level.index(True)
        # The axes of the levels come first, those alone that map this operand.
        axis = sum(outer[position] for outer in levels[:i])
        sizes.append((first, second)[position].shape[axis])
    result = form.shapes[missing]
    shape = (*sizes, *result.shape)
    sharding = jax.sharding.NamedSharding(
        first.sharding.mesh, jax.sharding.PartitionSpec(*[None] * len(shape))
    )
    return first.update(shape=shape, dtype=result.dtype, weak_type=False, sharding=sharding)


def _run(first: jax.Array, second: jax.Array, **parameters: Any) -> jax.Array:
    """Outside of ``jit``."""
    function = _as_products if platform_of(first) == "cpu" else _as_lax
    names = tuple(parameters)
    return jax.jit(function, static_argnames=names)(first, second, **parameters)


def _transpose(
    position: int,
    cotangent: jax.Array,
    first: Any,
    second: Any,
    *,
    form: Form,
    missing: int,
    levels: tuple[Level, ...],
) -> jax.Array:
    """The cotangent of an operand, by its ``position``: another derivative of the same form."""
    roles = [role for role in (INPUTS, KERNEL, OUTPUTS) if role != missing]
    other = 1 - position
    known = {
        roles[other]: ((first, second)[other], [level[other] for level in levels]),
        missing: (cotangent, [True] * len(levels)),
    }
    (one, one_mapped), (two, two_mapped) = (known[role] for role in sorted(known))
    result = _primitive.bind(
        one,
        two,
        form=form,
        missing=roles[position],
        levels=tuple(zip(one_mapped, two_mapped, strict=True)),
    )
    shared = tuple(i for i, level in enumerate(levels) if not level[position])
    return result.sum(shared) if shared else result


def _batch(
    operands: Sequence[jax.Array],
    axes: Sequence[int | None],
    *,
    form: Form,
    missing: int,
    levels: tuple[Level, ...],
) -> tuple[jax.Array, int]:
    pairs = zip(operands, axes, strict=True)
    moved = [x if axis is None else jnp.moveaxis(x, axis, 0) for x, axis in pairs]
    level = tuple(axis is not None for axis in axes)
    return _primitive.bind(*moved, form=form, missing=missing, levels=(level, *levels)), 0


# `training/train_step.py` looks for networks that convolve by this part of the name.
_primitive = Primitive("fast_conv_general_dilated")
_primitive.def_impl(_run)
_primitive.def_abstract_eval(_shape)
ad.defbilinear(_primitive, functools.partial(_transpose, 0), functools.partial(_transpose, 1))
batching.primitive_batchers[_primitive] = _batch
mlir.register_lowering(_primitive, mlir.lower_fun(_as_lax, multiple_results=False))
mlir.register_lowering(
    _primitive, mlir.lower_fun(_as_products, multiple_results=False), platform="cpu"
)
