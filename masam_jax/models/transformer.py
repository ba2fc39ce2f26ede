"""The transformer encoder that sequence, text and token models share."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.specs import check_optional_sizes, check_sizes
from masam_jax.models.attention import SelfAttention
from masam_jax.models.dropout import make_dropout
from masam_jax.models.normalization import LayerNorm


class TransformerBlock(nnx.Module):
    r"""Multi-head self-attention and a two-layer network, each with a residual connection.

    $$
    x \leftarrow x + A(N_1(x)), \quad x \leftarrow x + F(N_2(x)) \qquad \text{pre-norm}
    $$

    $$
    x \leftarrow N_1(x + A(x)), \quad x \leftarrow N_2(x + F(x)) \qquad \text{post-norm}
    $$

    with $A$ softmax attention over the real steps, $N$ layer normalisation and
    $F(x) = W_2\, \mathrm{GELU}(W_1 x + b_1) + b_2$, the exact GELU. Dropout is where BERT has
    it: on the attention weights, and on the outputs of A and F.

    A sequence without a real step attends to all of its steps alike, so that nothing is NaN.

    Args:
      width: size of a step, a multiple of ``heads``.
      heads: attention heads.
      feed_forward: units of F's hidden layer; ``4 * width`` when None.
      pre_norm: whether the norms come before A and F, or after the residual connection.
      dropout: rate of all dropout, in [0, 1); at 0 the block holds no random stream.
      epsilon: added to the variance in the layer normalisations.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters, and dropout, are drawn from.

    Raises:
      ValueError: a size below 1, a width that ``heads`` does not divide, or a rate out of range.

    References:
      Vaswani et al., Attention Is All You Need, NeurIPS 2017 (post-norm); Xiong et al., On Layer
      Normalization in the Transformer Architecture, ICML 2020 (pre-norm).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        feed_forward: int | None = None,
        pre_norm: bool = True,
        dropout: float = 0.0,
        epsilon: float = 1e-5,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_optional_sizes(feed_forward=feed_forward)
        self._pre_norm = pre_norm
        self._dtype = dtype
        self.attention = SelfAttention(
            width, heads, dropout=dropout, dtype=dtype, param_dtype=param_dtype, rngs=rngs
        )
        hidden = 4 * width if feed_forward is None else feed_forward
        self.dense_0 = nnx.Linear(width, hidden, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
        self.dense_1 = nnx.Linear(hidden, width, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
        self.norm_0, self.norm_1 = (
            LayerNorm(width, epsilon, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
            for _ in range(2)
        )
        self.dropout_0, self.dropout_1 = (make_dropout(dropout, rngs=rngs) for _ in range(2))

    def __call__(self, inputs: jax.Array, mask: jax.Array) -> jax.Array:
        """Steps ``[B, T, H]`` and their mask ``[B, T]``, True for a real step, to ``[B, T, H]``."""
        if self._dtype is not None:
            # For the residual connections, which hold no layer that would cast them.
            inputs = inputs.astype(self._dtype)
        if self._pre_norm:
            hidden = self.attention(self.norm_0(inputs), mask)
            outputs = inputs + self.dropout_0(hidden)
            return outputs + self.dropout_1(self._feed_forward(self.norm_1(outputs)))
        outputs = self.norm_0(inputs + self.dropout_0(self.attention(inputs, mask)))
        return self.norm_1(outputs + self.dropout_1(self._feed_forward(outputs)))

    def _feed_forward(self, inputs: jax.Array) -> jax.Array:
        return self.dense_1(nnx.gelu(self.dense_0(inputs), approximate=False))


class TransformerStack(nnx.Module):
    """``depth`` blocks, and a last layer normalisation where they are pre-norm.

    The parts are named ``block_0, block_1, …`` and ``norm``.

    Args:
      width: size of a step, a multiple of ``heads``.
      depth: number of blocks, at least 1.
      heads: attention heads of each.
      feed_forward: as `TransformerBlock` takes it, as are all that follow.
      pre_norm: whether the norms come first.
      dropout: rate of all dropout.
      epsilon: of the layer normalisations.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters, and dropout, are drawn from.

    Raises:
      ValueError: an argument is out of range.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        *,
        feed_forward: int | None = None,
        pre_norm: bool = True,
        dropout: float = 0.0,
        epsilon: float = 1e-5,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_sizes(depth=depth)
        self._depth = depth
        self._pre_norm = pre_norm
        for index in range(depth):
            block = TransformerBlock(
                width,
                heads,
                feed_forward=feed_forward,
                pre_norm=pre_norm,
                dropout=dropout,
                epsilon=epsilon,
                dtype=dtype,
                param_dtype=param_dtype,
                rngs=rngs,
            )
            setattr(self, f"block_{index}", block)
        if pre_norm:
            self.norm = LayerNorm(width, epsilon, dtype=dtype, param_dtype=param_dtype, rngs=rngs)

    def __call__(self, inputs: jax.Array, mask: jax.Array) -> jax.Array:
        """Steps ``[B, T, H]`` and their mask ``[B, T]``, True for a real step, to ``[B, T, H]``."""
        outputs = inputs
        for index in range(self._depth):
            outputs = getattr(self, f"block_{index}")(outputs, mask)
        return self.norm(outputs) if self._pre_norm else outputs


def learned_vectors(
    count: int, width: int, *, param_dtype: DTypeLike, rngs: nnx.Rngs
) -> nnx.Param[jax.Array]:
    """Trainable vectors ``[count, width]``, drawn with standard deviation 0.02 as in BERT."""
    draw = nnx.initializers.normal(0.02)
    return nnx.Param(draw(rngs.params(), (count, width), param_dtype))
