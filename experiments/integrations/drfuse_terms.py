"""DrFuse's terms of disentanglement, each over the samples of a mask.

After Yao et al., AAAI 2024. The authors' release sums ``p log(p / m)`` alone over features, of all
samples; here a feature is a Bernoulli variable with both of its terms, and means are taken. Their
ranking loss, which pulls the attention towards the better predictions, is left out.
"""

import jax
import jax.numpy as jnp

from experiments.integrations.masked_losses import mean_where


def jensen_shannon(left: jax.Array, right: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean Jensen-Shannon divergence in nats of Bernoulli variables, given their logits.

    Args:
      left: logits ``[B, D]``.
      right: logits ``[B, D]``.
      mask: bool ``[B]``.
    """
    total = jnp.zeros_like(left)
    for sign in (1, -1):
        log_left, log_right = jax.nn.log_sigmoid(sign * left), jax.nn.log_sigmoid(sign * right)
        log_middle = jnp.logaddexp(log_left, log_right) - jnp.log(2)
        total = total + jnp.exp(log_left) * (log_left - log_middle) / 2
        total = total + jnp.exp(log_right) * (log_right - log_middle) / 2
    return mean_where(total.mean(axis=-1), mask).value()


def overlap(shared: jax.Array, distinct: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean absolute cosine between two representations ``[B, D]`` of a sample; 0 if orthogonal."""
    dot = jnp.sum(shared * distinct, axis=-1)
    # The square root has no gradient at 0, where ReLUs may bring a representation.
    squares = jnp.sum(shared**2, axis=-1) * jnp.sum(distinct**2, axis=-1)
    return mean_where(jnp.abs(dot) * jax.lax.rsqrt(squares + 1e-12), mask).value()
