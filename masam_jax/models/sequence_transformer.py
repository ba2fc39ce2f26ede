"""A transformer for sequences of vectors."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.specs import check_choice, check_sizes
from masam_jax.models.dropout import make_dropout
from masam_jax.models.sequence_inputs import (
    SequenceInputs,
    blank_padding,
    check_length,
    masked_mean,
    prepend_token,
    split_mask,
)
from masam_jax.models.transformer import TransformerStack, learned_vectors


class SequenceTransformer(nnx.Module):
    """A dense layer, learned positions, pre-norm transformer blocks, and one vector a sequence.

    Inputs ``{"values": [B, T, D], "mask": bool [B, T]}`` with True for a real step, or an array
    ``[B, T, D]`` whose steps are all real; features ``[B, width]``. What stands in a step that is
    not real never matters, not even NaN. A sequence without a real step has finite features: zeros
    with ``pool="mean"``.

    Args:
      in_features: D.
      width: size of a step inside, and of the features.
      depth: number of blocks.
      heads: attention heads, which divide ``width``.
      max_length: the longest T.
      dropout: rate inside the blocks and after the positions; at 0 all state is parameters.
      pool: ``"mean"`` over the real steps; or ``"cls"``, the output at a learned first token.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters, and dropout, are drawn from.

    Raises:
      ValueError: an argument is out of range.
    """

    def __init__(
        self,
        in_features: int,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        max_length: int = 64,
        dropout: float = 0.1,
        *,
        pool: Literal["mean", "cls"] = "mean",
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_sizes(in_features=in_features, max_length=max_length)
        check_choice("pool", pool, ("mean", "cls"))
        self._max_length = max_length
        # First, for its errors name sizes that the layers below would refuse less clearly.
        self.stack = TransformerStack(
            width, depth, heads, dropout=dropout, dtype=dtype, param_dtype=param_dtype, rngs=rngs
        )
        self.dense = nnx.Linear(in_features, width, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
        self.positions = learned_vectors(max_length, width, param_dtype=param_dtype, rngs=rngs)
        self.dropout = make_dropout(dropout, rngs=rngs)
        self._has_token = pool == "cls"
        if self._has_token:
            self.token = learned_vectors(1, width, param_dtype=param_dtype, rngs=rngs)

    def __call__(self, inputs: SequenceInputs) -> jax.Array:
        """Sequences to features ``[B, width]``.

        Raises:
          ValueError: inputs of another form, or longer than ``max_length``.
        """
        values, mask = split_mask(inputs, "values", rank=3)
        check_length(values.shape[1], self._max_length)
        steps = self.dense(blank_padding(values, mask))
        steps = steps + self.positions[: values.shape[1]].astype(steps.dtype)[None]
        if self._has_token:
            steps, mask = prepend_token(self.token[...], steps, mask)
        outputs = self.stack(self.dropout(steps), mask)
        return outputs[:, 0] if self._has_token else masked_mean(outputs, mask)
