"""Flatness of one encoder of the networks of all seeds, in programs that are mapped over these.

What `hessian_trace` and `sharpness` measure of one network, with one number of samples and steps
for all seeds, so that networks that train under ``vmap`` are measured under it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from masam_jax.core.numerics import inner, total
from masam_jax.core.random_keys import typed_key
from masam_jax.geometry.derivatives import LossFn, Positions, by_leaves, second_derivative


def trace_samples(
    loss_fn: LossFn,
    params: optax.Params,
    batches: Sequence[Any],
    positions: Positions,
    keys: jax.Array,
    *,
    samples: int,
) -> jax.Array:
    r"""Hutchinson's samples $v^\top H v$ with random signs v, H by some leaves of the parameters.

    Args:
      loss_fn: ``(params, batch) -> scalar``, of one seed.
      params: ``[S, ...]``.
      batches: ``[S, ...]`` each, weighted alike.
      positions: the leaves, in the order of ``jax.tree.leaves``.
      keys: raw PRNG keys uint32[S, 2].
      samples: N sign vectors, the same for all batches.

    Returns:
      float32 ``[N, S]``, whose means over N are the traces; not finite where the loss is not.
    """
    return jnp.stack(
        [
            _mean(
                _form(loss_fn, positions, params, batch, keys, np.uint32(number))
                for batch in batches
            )
            for number in range(samples)
        ]
    )


def losses(loss_fn: LossFn, params: optax.Params, batches: Sequence[Any]) -> jax.Array:
    """Mean losses over batches, float32 ``[S]``; arguments as of `trace_samples`."""
    return _mean(_loss(loss_fn, params, batch) for batch in batches)


def norms(params: optax.Params, positions: Positions) -> jax.Array:
    """``‖θ‖₂`` of some leaves, float32 ``[S]``."""
    return _norm([jax.tree.leaves(params)[i] for i in positions])


def increases(
    loss_fn: LossFn,
    params: optax.Params,
    batches: Sequence[Any],
    positions: Positions,
    *,
    radius: float,
) -> jax.Array:
    r"""How much the loss grows with SAM's step, by some leaves of the parameters.

    $$
    L(\theta + \epsilon) - L(\theta), \quad
      \epsilon = r \, \lVert \theta_m \rVert \, \nabla_m L / \lVert \nabla_m L \rVert
    $$

    Args:
      loss_fn: as of `trace_samples`, and so the rest.
      params: likewise.
      batches: likewise.
      positions: the leaves of m; nothing else moves.
      radius: r, a share of these leaves' norm.

    Returns:
      float32 ``[S]``; 0 where the gradient is.
    """
    gradients = [_gradient(loss_fn, positions, params, batch) for batch in batches]
    moved = _step(params, positions, jax.tree.map(_mean_of, *gradients), np.float32(radius))
    return losses(loss_fn, moved, batches) - losses(loss_fn, params, batches)


def _mean_of(*arrays: jax.Array) -> jax.Array:
    return sum(arrays[1:], arrays[0]) / len(arrays)


def _mean(arrays: Any) -> jax.Array:
    return _mean_of(*arrays)


def _merged(
    leaves: list[jax.Array], positions: Positions, own: Sequence[jax.Array]
) -> list[jax.Array]:
    by_place = dict(zip(positions, own, strict=True))
    return [by_place.get(i, leaf) for i, leaf in enumerate(leaves)]


@functools.partial(jax.jit, static_argnames=("loss_fn",))
def _loss(loss_fn: LossFn, params: Any, batch: Any) -> jax.Array:
    return jax.vmap(loss_fn)(params, batch).astype(jnp.float32)


@jax.jit
def _norm(leaves: list[jax.Array]) -> jax.Array:
    return jax.vmap(_length)(leaves)


def _length(leaves: list[jax.Array]) -> jax.Array:
    """``‖leaves‖₂``; NaN or infinite where they are."""
    return jnp.sqrt(total([inner(leaf, leaf, jnp.float32) for leaf in leaves], jnp.float32))


@functools.partial(jax.jit, static_argnames=("loss_fn", "positions"))
def _gradient(loss_fn: LossFn, positions: Positions, params: Any, batch: Any) -> list[jax.Array]:
    def one(params: Any, batch: Any) -> list[jax.Array]:
        loss, own = by_leaves(loss_fn, positions, params, batch)
        return jax.grad(loss)(own)

    return jax.vmap(one)(params, batch)


@functools.partial(jax.jit, static_argnames=("positions",))
def _step(params: Any, positions: Positions, gradient: list[jax.Array], radius: jax.Array) -> Any:
    def one(params: Any, gradient: list[jax.Array]) -> Any:
        leaves, structure = jax.tree.flatten(params)
        own = [leaves[i] for i in positions]
        steepness = _length(gradient)
        # Of no gradient no step, but of one that is not finite NaN.
        length = radius * _length(own) / jnp.where(steepness == 0, 1, steepness)
        moved = [x + (length * g).astype(x.dtype) for x, g in zip(own, gradient, strict=True)]
        return jax.tree.unflatten(structure, _merged(leaves, positions, moved))

    return jax.vmap(one)(params, gradient)


@functools.partial(jax.jit, static_argnames=("loss_fn", "positions"))
def _form(
    loss_fn: LossFn,
    positions: Positions,
    params: Any,
    batch: Any,
    keys: jax.Array,
    number: jax.Array,
) -> jax.Array:
    def one(params: Any, batch: Any, key: jax.Array) -> jax.Array:
        loss, own = by_leaves(loss_fn, positions, params, batch)
        signs = _signs(jax.random.fold_in(typed_key(key), number), own)
        return second_derivative(loss, own, signs, jnp.float32)

    return jax.vmap(one)(params, batch, keys)


def _signs(key: jax.Array, like: list[jax.Array]) -> list[jax.Array]:
    """Of one draw: many small ones compile slowly."""
    drawn = jax.random.rademacher(key, (sum(leaf.size for leaf in like),), jnp.int8)
    ends = np.cumsum([leaf.size for leaf in like])[:-1].tolist()
    return [
        part.reshape(leaf.shape).astype(leaf.dtype)
        for part, leaf in zip(jnp.split(drawn, ends), like, strict=True)
    ]
