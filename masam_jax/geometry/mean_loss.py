"""The mean of a loss over batches around one point: values, gradients, second derivatives.

Batches are read one after the other, so that all of them need not fit in memory. Of each, one
program runs at the top level of ``jit``, for one vector: XLA's CPU backend is slow at a
convolution's backward pass within loops, and several vectors mapped at once take as many times the
memory and no less time (measured there, eight, for each: of MLPs 31 ms alone and 35 ms mapped, of
conv encoders 473 and 408 ms).
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from masam_jax.core.numerics import accumulation_dtype, inner, is_narrow, total
from masam_jax.core.partition import check_parameters
from masam_jax.geometry.derivatives import (
    LossFn,
    Positions,
    by_leaves,
    hessian_product,
    second_derivative,
)


class MeanLoss:
    """A loss over batches that weigh alike, at given parameters.

    Attributes:
      params: the parameters; those of fewer than 32 bits as float32.
      loss: their loss.
      dtype: of vectors and sums, float32 or float64.
    """

    def __init__(self, loss_fn: LossFn, params: optax.Params, batches: Iterable[Any]) -> None:
        """Takes the loss.

        Raises:
          TypeError: the loss is no real scalar.
          ValueError: there is no batch, the batches can be read only once, a parameter has no
            gradient, or the loss of a batch is not finite.
        """
        if not callable(loss_fn):
            raise ValueError(f"loss_fn must be a function of (params, batch), got {loss_fn!r}")
        _check_batches(batches)
        check_parameters(params)
        self.params = jax.tree.map(_widened, params)
        self.dtype = accumulation_dtype(self.params)
        self._loss_fn = loss_fn
        self._batches = batches
        losses = [float(_loss(loss_fn, self.params, batch)) for batch in self._read()]
        for index, loss in enumerate(losses):
            if not np.isfinite(loss):
                raise ValueError(f"the loss of batch {index} is {loss}: its geometry means nothing")
        self.loss = float(np.mean(losses))

    def at(self, params: optax.Params) -> float:
        """The loss of other parameters, finite or not."""
        return float(np.mean([_loss(self._loss_fn, params, batch) for batch in self._read()]))

    def value_and_grad(
        self, params: optax.Params, positions: Positions
    ) -> tuple[float, list[jax.Array]]:
        """The loss of other parameters, and its gradient by some of their leaves."""
        totals, count = None, 0
        for batch in self._read():
            terms = _value_and_grad(self._loss_fn, positions, params, batch)
            totals = terms if totals is None else jax.tree.map(jnp.add, totals, terms)
            count += 1
        value, gradient = jax.tree.map(lambda x: x / jnp.asarray(count, x.dtype), totals)
        return float(value), gradient

    def size(self, positions: Positions) -> int:
        """The number of parameters in some leaves."""
        leaves = jax.tree.leaves(self.params)
        return sum(jnp.size(leaves[i]) for i in positions)

    def norm(self, positions: Positions) -> float:
        """``‖θ‖₂`` of some leaves."""
        leaves = jax.tree.leaves(self.params)
        squares = [inner(leaves[i], leaves[i], self.dtype) for i in positions]
        return float(jnp.sqrt(total(squares, self.dtype)))

    def curvatures(self, vectors: Sequence[jax.Array], positions: Positions) -> list[float]:
        """``vᵀ H v`` of each vector, with H the Hessian by some leaves.

        Args:
          vectors: flat, ``[size]``. Each batch is read once for all of them.
          positions: the leaves.

        Raises:
          ValueError: the Hessian is not finite.
        """
        sums, count = [jnp.zeros((), self.dtype) for _ in vectors], 0
        for batch in self._read():
            count += 1
            for i, vector in enumerate(vectors):
                sums[i] += curvature(self._loss_fn, positions, self.params, batch, vector)
        values = [float(each) / count for each in jax.device_get(sums)]
        _check_finite(np.isfinite(values).all())
        return values

    def product(self, vector: jax.Array, positions: Positions) -> jax.Array:
        """``H v`` with the Hessian by some leaves, flat as ``v`` is.

        Raises:
          ValueError: the Hessian is not finite.
        """
        result, count = jnp.zeros_like(vector), 0
        for batch in self._read():
            count += 1
            result = _add_product(self._loss_fn, positions, self.params, batch, vector, result)
        _check_finite(jnp.isfinite(result).all())
        return result / jnp.asarray(count, result.dtype)

    def _read(self) -> Iterator[Any]:
        empty = True
        for batch in self._batches:
            empty = False
            yield batch
        if empty:
            raise ValueError("batches is empty: give at least one batch")


def _check_batches(batches: Any) -> None:
    if isinstance(batches, Mapping | np.ndarray | jax.Array) or not isinstance(batches, Iterable):
        raise ValueError(
            f"batches must be an iterable of batches, such as [batch], got {type(batches).__name__}"
        )
    if iter(batches) is batches:
        raise ValueError(
            "batches is read more than once: give a list, or an object whose iteration starts anew,"
            f" got {type(batches).__name__}"
        )


def _check_finite(is_finite: Any) -> None:
    if not is_finite:
        raise ValueError(
            "the loss is finite, but its Hessian is not: loss_fn has no second derivative here, as"
            " a square root or a norm has none at 0"
        )


def _widened(leaf: Any) -> jax.Array:
    """In bfloat16 a Hessian-vector product has two digits, and the perturbations none."""
    array = jnp.asarray(leaf)
    return array.astype(jnp.float32) if is_narrow(array.dtype) else array


@functools.partial(jax.jit, static_argnames=("loss_fn",))
def _loss(loss_fn: LossFn, params: Any, batch: Any) -> jax.Array:
    loss = loss_fn(params, batch)
    shape, dtype = jnp.shape(loss), jnp.result_type(loss)
    if shape != () or not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"loss_fn must return a real scalar, got shape {shape} and dtype {dtype}")
    return loss


@functools.partial(jax.jit, static_argnames=("loss_fn", "positions"))
def _value_and_grad(loss_fn: LossFn, positions: Positions, params: Any, batch: Any) -> Any:
    loss, own = by_leaves(loss_fn, positions, params, batch)
    value, gradient = jax.value_and_grad(loss)(own)
    dtype = accumulation_dtype(params)
    return value.astype(dtype), [each.astype(dtype) for each in gradient]


@functools.partial(jax.jit, static_argnames=("loss_fn", "positions"))
def curvature(
    loss_fn: LossFn, positions: Positions, params: Any, batch: Any, vector: jax.Array
) -> jax.Array:
    """``vᵀ H v`` of one batch."""
    loss, own = by_leaves(loss_fn, positions, params, batch)
    return second_derivative(loss, own, from_vector(vector, own), vector.dtype)


@functools.partial(jax.jit, static_argnames=("loss_fn", "positions"))
def _add_product(
    loss_fn: LossFn,
    positions: Positions,
    params: Any,
    batch: Any,
    vector: jax.Array,
    result: jax.Array,
) -> jax.Array:
    return result + _multiplication(loss_fn, positions, params, batch)(vector)


def _multiplication(
    loss_fn: LossFn, positions: Positions, params: Any, batch: Any
) -> Callable[[jax.Array], jax.Array]:
    """From a flat vector to the Hessian times it."""
    loss, own = by_leaves(loss_fn, positions, params, batch)

    def multiply(vector: jax.Array) -> jax.Array:
        return as_vector(hessian_product(loss, own, from_vector(vector, own)), vector.dtype)

    return multiply


def as_vector(leaves: Sequence[jax.Array], dtype: Any) -> jax.Array:
    """Arrays as one vector of that dtype."""
    return jnp.concatenate([leaf.astype(dtype).ravel() for leaf in leaves])


def from_vector(vector: jax.Array, like: Sequence[jax.Array]) -> list[jax.Array]:
    """The parts of a vector, in the shapes and dtypes of ``like``."""
    parts, start = [], 0
    for leaf in like:
        part = vector[start : start + leaf.size]
        parts.append(part.reshape(leaf.shape).astype(leaf.dtype))
        start += leaf.size
    return parts
