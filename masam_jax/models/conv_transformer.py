"""The encoder of UR-FUNNY's features: a convolution of kernel 1, then a transformer."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.specs import check_choice, check_optional_sizes, check_sizes
from masam_jax.models.convolution import conv
from masam_jax.models.dropout import make_dropout
from masam_jax.models.sequence_inputs import (
    SequenceInputs,
    blank_padding,
    check_length,
    first_step,
    last_step,
    masked_mean,
    split_mask,
)
from masam_jax.models.transformer import TransformerStack, learned_vectors

_POOLS = {"mean": masked_mean, "first": first_step, "last": last_step}


class ConvTransformer(nnx.Module):
    """A convolution over time of kernel 1 without bias, and post-norm transformer blocks.

    Inputs ``{"values": [B, T, D], "mask": bool [B, T]}`` with True for a real step, or an array
    ``[B, T, D]`` whose steps are all real; features ``[B, width]``. What stands in a step that is
    not real never matters, not even NaN. A sequence without a real step has features of zeros.

    Args:
      in_features: D.
      width: size of a step inside, and of the features.
      depth: number of blocks.
      heads: attention heads, which divide ``width``.
      max_length: the longest T, each of whose steps has a learned position; None for any length
        and no positions, as in the releases.
      dropout: rate inside the blocks and after the positions; at 0 all state is parameters.
      pool: ``"mean"`` over the real steps, or the ``"first"`` or ``"last"`` of them.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters, and dropout, are drawn from.

    Raises:
      ValueError: an argument is out of range.

    References:
      Liang et al., MultiBench, NeurIPS 2021 Datasets and Benchmarks (its ``Transformer`` encoder);
      Tsai et al., Multimodal Transformer for Unaligned Multimodal Language Sequences, ACL 2019
      (the convolution).

    Differences from the release:
      MultiBench's encoder, which AGM's release of UR-FUNNY uses too, attends to padding, has no
      positions (``max_length=None``), ReLU and 2048 units in the blocks, and reads one step whether
      real or padding: MultiBench the last, AGM the first. Here padding is masked, the blocks have
      GELU and ``4 * width`` units, and the mean of the real steps is the default.
    """

    def __init__(
        self,
        in_features: int,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        max_length: int | None = 64,
        dropout: float = 0.1,
        *,
        pool: Literal["mean", "first", "last"] = "mean",
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_sizes(in_features=in_features)
        check_optional_sizes(max_length=max_length)
        check_choice("pool", pool, tuple(_POOLS))
        self._max_length = max_length
        self._pool = _POOLS[pool]
        self.stack = TransformerStack(
            width,
            depth,
            heads,
            pre_norm=False,
            dropout=dropout,
            dtype=dtype,
            param_dtype=param_dtype,
            rngs=rngs,
        )
        self.conv = nnx.Conv(
            in_features,
            width,
            kernel_size=(1,),
            conv_general_dilated=conv,
            use_bias=False,
            dtype=dtype,
            param_dtype=param_dtype,
            rngs=rngs,
        )
        if max_length is not None:
            self.positions = learned_vectors(max_length, width, param_dtype=param_dtype, rngs=rngs)
        self.dropout = make_dropout(dropout, rngs=rngs)

    def __call__(self, inputs: SequenceInputs) -> jax.Array:
        """Sequences to features ``[B, width]``.

        Raises:
          ValueError: inputs of another form, or longer than ``max_length``.
        """
        values, mask = split_mask(inputs, "values", rank=3)
        steps = self.conv(blank_padding(values, mask))
        if self._max_length is not None:
            check_length(values.shape[1], self._max_length)
            steps = steps + self.positions[: values.shape[1]].astype(steps.dtype)[None]
        return self._pool(self.stack(self.dropout(steps), mask), mask)
