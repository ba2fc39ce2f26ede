"""A convolution as a form that is linear in inputs, kernel and outputs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax

INPUTS, KERNEL, OUTPUTS = range(3)
"""The three arrays: each is a bilinear function of the other two, in this order."""


@dataclasses.dataclass(frozen=True)
class Form:
    """``⟨outputs, conv(inputs, kernel)⟩``; hashable.

    A convolution, the gradient of its inputs and that of its kernel are the three derivatives of
    this number, and so are the derivatives of those three again.

    Attributes:
      shapes: shape and dtype of inputs, kernel and outputs.
      window_strides, padding, lhs_dilation, rhs_dilation, dimension_numbers, feature_group_count,
        batch_group_count, precision, preferred_element_type: as
        ``jax.lax.conv_general_dilated`` takes them.
    """

    shapes: tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]
    window_strides: tuple[int, ...]
    padding: str | tuple[tuple[int, int], ...]
    lhs_dilation: tuple[int, ...] | None
    rhs_dilation: tuple[int, ...] | None
    dimension_numbers: jax.lax.ConvDimensionNumbers
    feature_group_count: int
    batch_group_count: int
    precision: Any
    preferred_element_type: Any

    @classmethod
    def of(cls, inputs: jax.Array, kernel: jax.Array, **options: Any) -> Form:
        """Of two arrays, and the other arguments of ``jax.lax.conv_general_dilated``.

        Raises:
          TypeError, ValueError: what that function raises for these arguments.
        """
        x, w = (jax.ShapeDtypeStruct(z.shape, z.dtype) for z in (inputs, kernel))
        outputs = jax.eval_shape(functools.partial(jax.lax.conv_general_dilated, **options), x, w)
        specs = jax.lax.conv_dimension_numbers(x.shape, w.shape, options["dimension_numbers"])
        hashable = {name: _hashable(value) for name, value in options.items()}
        outputs = jax.ShapeDtypeStruct(outputs.shape, outputs.dtype)
        return cls((x, w, outputs), **hashable | {"dimension_numbers": specs})

    def convolve(self, inputs: jax.Array, kernel: jax.Array) -> jax.Array:
        """The outputs, by ``jax.lax.conv_general_dilated``."""
        fields = (field.name for field in dataclasses.fields(self) if field.name != "shapes")
        options = {name: getattr(self, name) for name in fields}
        return jax.lax.conv_general_dilated(inputs, kernel, **options)

    def by_lax(self, missing: int, first: jax.Array, second: jax.Array) -> jax.Array:
        """The ``missing`` one of the three, of the other two, as JAX itself takes it."""
        if missing == OUTPUTS:
            return self.convolve(first, second)
        if missing == INPUTS:
            transpose = jax.linear_transpose(
                lambda inputs: self.convolve(inputs, first), self.shapes[INPUTS]
            )
        else:
            transpose = jax.linear_transpose(
                lambda kernel: self.convolve(first, kernel), self.shapes[KERNEL]
            )
        return transpose(second)[0]


def _hashable(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_hashable(each) for each in value)
    return value
