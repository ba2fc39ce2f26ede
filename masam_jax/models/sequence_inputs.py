"""What a batch of sequences looks like: arrays, and which of their steps are real."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

SequenceInputs = Mapping[str, jax.Array] | jax.Array


def split_mask(inputs: SequenceInputs, key: str, rank: int) -> tuple[jax.Array, jax.Array]:
    """The array ``[B, T, …]`` of a batch of sequences, and its mask ``[B, T]``.

    Args:
      inputs: ``{key: array, "mask": bool [B, T]}``, True for a real step; or the array alone, all
        of whose steps are real.
      key: what the array is called: ``"values"`` or ``"tokens"``.
      rank: its only accepted number of axes.

    Raises:
      ValueError: a part is missing, or of another shape or dtype.
    """
    if not isinstance(inputs, Mapping):
        inputs = {key: inputs, "mask": jnp.ones(inputs.shape[:2], jnp.bool)}
    if set(inputs) != {key, "mask"}:
        raise ValueError(
            f"a sequence has the parts {sorted(inputs)}; {key!r} and 'mask' are meant."
        )
    array, mask = inputs[key], inputs["mask"]
    if array.ndim != rank:
        axes = "[B, T, D]" if rank == 3 else "[B, T]"
        raise ValueError(f"{key} have shape {array.shape}; {axes} is accepted.")
    if mask.shape != array.shape[:2] or mask.dtype != jnp.bool:
        raise ValueError(
            f"the mask of {key} {array.shape} is {mask.dtype} {mask.shape}; "
            f"bool {array.shape[:2]} is accepted."
        )
    return array, mask


def check_length(length: int, max_length: int) -> None:
    """Raises ``ValueError`` where a sequence is longer than there are learned positions."""
    if length > max_length:
        raise ValueError(f"a sequence has {length} steps; at most max_length={max_length} fit.")


def blank_padding(values: jax.Array, mask: jax.Array) -> jax.Array:
    """Values ``[B, T, D]`` with zeros in all steps that are not real.

    Nothing that stands in them, be it NaN, reaches features or gradients.
    """
    return jnp.where(mask[..., None], values, jnp.zeros_like(values))


def masked_mean(values: jax.Array, mask: jax.Array) -> jax.Array:
    """The mean ``[B, D]`` over the real steps of ``[B, T, D]``; zeros where there are none."""
    count = jnp.maximum(mask.sum(axis=-1, keepdims=True), 1).astype(values.dtype)
    return blank_padding(values, mask).sum(axis=-2) / count


def first_step(values: jax.Array, mask: jax.Array) -> jax.Array:
    """The first real step ``[B, D]`` of ``[B, T, D]``; zeros where there is none."""
    steps = jnp.broadcast_to(jnp.arange(mask.shape[-1]), mask.shape)
    first = jnp.where(mask, steps, mask.shape[-1]).min(axis=-1, keepdims=True)
    return blank_padding(values, mask & (steps == first)).sum(axis=-2)


def last_step(values: jax.Array, mask: jax.Array) -> jax.Array:
    """The last real step ``[B, D]`` of ``[B, T, D]``; zeros where there is none."""
    steps = jnp.broadcast_to(jnp.arange(mask.shape[-1]), mask.shape)
    last = jnp.where(mask, steps, -1).max(axis=-1, keepdims=True)
    return blank_padding(values, mask & (steps == last)).sum(axis=-2)


def prepend_token(
    token: jax.Array, steps: jax.Array, mask: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """A token ``[1, H]`` before the steps ``[B, T, H]``, real in every row of the mask."""
    first = jnp.broadcast_to(token.astype(steps.dtype), (len(steps), *token.shape))
    real = jnp.ones((len(mask), 1), jnp.bool)
    return jnp.concatenate([first, steps], axis=1), jnp.concatenate([real, mask], axis=1)
