"""Multi-head self-attention over the real steps of a sequence."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.numerics import accumulation_dtype
from masam_jax.core.specs import check_sizes
from masam_jax.models.dropout import make_dropout


class SelfAttention(nnx.Module):
    r"""Softmax attention of every step to all real steps, in several heads.

    $$
    \mathrm{softmax}\!\left(\frac{Q_h K_h^\top}{\sqrt{H / \mathrm{heads}}}\right) V_h
    $$

    with $Q, K, V$ dense layers of the steps, and one more dense layer on the heads' outputs.
    The softmax is taken in float32 or wider (``jax.nn.dot_product_attention`` takes float32 even of
    float64, and has no dropout).

    A sequence without a real step attends to all of its steps alike, so that nothing is NaN.

    Args:
      width: H, a multiple of ``heads``.
      heads: number of heads.
      dropout: rate on the attention weights, in [0, 1), drawn for every sample and head.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters, and dropout, are drawn from.

    Raises:
      ValueError: a size below 1, a width that ``heads`` does not divide, or a rate out of range.

    References:
      Vaswani et al., Attention Is All You Need, NeurIPS 2017, section 3.2.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        dropout: float = 0.0,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_sizes(width=width, heads=heads)
        if width % heads:
            raise ValueError(f"width is {width} and heads is {heads}, which must divide it.")
        self._heads = heads
        self.query, self.key, self.value, self.out = (
            nnx.Linear(width, width, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
            for _ in range(4)
        )
        self.dropout = make_dropout(dropout, rngs=rngs)

    def __call__(self, inputs: jax.Array, mask: jax.Array) -> jax.Array:
        """Steps ``[B, T, H]`` and their mask ``[B, T]``, True for a real step, to ``[B, T, H]``."""
        query, key, value = (
            self._by_head(layer(inputs)) for layer in (self.query, self.key, self.value)
        )
        scores = jnp.einsum("btnd,bsnd->bnts", query, key) / math.sqrt(query.shape[-1])
        scores = scores.astype(accumulation_dtype(scores))
        # Finite, unlike minus infinity: where all are masked their softmax is no NaN.
        scores = jnp.where(mask[:, None, None, :], scores, jnp.finfo(scores.dtype).min)
        weights = self.dropout(jax.nn.softmax(scores).astype(value.dtype))
        attended = jnp.einsum("bnts,bsnd->btnd", weights, value)
        return self.out(attended.reshape(inputs.shape))

    def _by_head(self, steps: jax.Array) -> jax.Array:
        return steps.reshape(*steps.shape[:-1], self._heads, -1)
