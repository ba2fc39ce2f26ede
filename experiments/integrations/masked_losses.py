"""Losses of multi-label predictions over the samples that have what is predicted from."""

import jax
import jax.numpy as jnp
import optax

from masam_jax import WeightedMean


def mean_where(values: jax.Array, mask: jax.Array) -> WeightedMean:
    """The mean of ``values [B]`` where ``mask`` (bool ``[B]``) holds; 0 where it never does."""
    return WeightedMean(jnp.where(mask, values, 0).sum(), mask.sum(dtype=jnp.int32))


def multi_label_loss(logits: jax.Array, targets: jax.Array, mask: jax.Array) -> WeightedMean:
    """Binary cross-entropy in nats, its mean over the labels and over the samples of ``mask``.

    Args:
      logits: ``[B, C]``.
      targets: ``[B, C]``, 0 or 1.
      mask: bool ``[B]``.
    """
    return mean_where(optax.sigmoid_binary_cross_entropy(logits, targets).mean(axis=-1), mask)
