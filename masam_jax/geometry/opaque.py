"""Products that Python computes, as functions that matfree can take."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import batching

MatVec = Callable[[jax.Array], jax.Array]
"""From a vector to a symmetric matrix times it."""

_product = Primitive("masam_jax_product")


def opaque(operator: MatVec) -> MatVec:
    """An operator that JAX does not look into, for `run_by_python`.

    It may read data and run compiled programs. JAX may trace what calls it, and map it over several
    vectors, which it then takes one after the other.
    """

    def multiply(vector: jax.Array) -> jax.Array:
        return _product.bind(vector, operator=operator)

    return multiply


@contextlib.contextmanager
def run_by_python() -> Iterator[None]:
    """Loops of matfree run in Python, so that each product is a program of its own.

    Also with JAX's usual promotion, which matfree's code is written for.
    """
    with (
        jax.disable_jit(),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        yield


@_product.def_impl  # type: ignore[untyped-decorator]
def _compute(vector: jax.Array, *, operator: MatVec) -> jax.Array:
    with jax.disable_jit(False):
        return operator(vector)


@_product.def_abstract_eval  # type: ignore[untyped-decorator]
def _shape(vector: Any, *, operator: MatVec) -> Any:
    return vector


def _one_by_one(
    arguments: tuple[jax.Array], axes: tuple[int], *, operator: MatVec
) -> tuple[jax.Array, int]:
    vectors = jnp.moveaxis(arguments[0], axes[0], 0)
    return jnp.stack([_product.bind(vector, operator=operator) for vector in vectors]), 0


batching.primitive_batchers[_product] = _one_by_one
