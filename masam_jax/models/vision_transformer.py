"""A transformer for images and spectrograms, over patches of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.models.dropout import make_dropout
from masam_jax.models.sequence_inputs import masked_mean
from masam_jax.models.tokenizers import PatchTokenizer
from masam_jax.models.transformer import TransformerStack


class VisionTransformer(nnx.Module):
    """Patches through one dense layer, learned positions, pre-norm blocks, and their mean.

    Images ``[B, height, width, C]``, features ``[B, H]``. Rows and columns beyond the last whole
    patch are left out.

    Args:
      in_channels: C.
      image_size: height and width, in pixels.
      width: H, size of a patch inside, and of the features.
      depth: number of blocks.
      heads: attention heads, which divide ``width``.
      patch: height and width of a patch, in pixels.
      dropout: rate inside the blocks and after the positions; at 0 all state is parameters.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters, and dropout, are drawn from.

    Raises:
      ValueError: an argument is out of range, or an image smaller than a patch.

    References:
      Dosovitskiy et al., An Image Is Worth 16x16 Words, ICLR 2021; the mean of the patches in the
      place of a class token, as in Beyer et al., Better Plain ViT Baselines for ImageNet-1k, 2022.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: tuple[int, int],
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        patch: tuple[int, int] = (16, 16),
        dropout: float = 0.0,
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        # First, for its errors name sizes that the layers below would refuse less clearly.
        self.stack = TransformerStack(
            width, depth, heads, dropout=dropout, dtype=dtype, param_dtype=param_dtype, rngs=rngs
        )
        self.patches = PatchTokenizer(
            in_channels,
            image_size,
            width,
            patch,
            dtype=dtype,
            param_dtype=param_dtype,
            rngs=rngs,
        )
        self.dropout = make_dropout(dropout, rngs=rngs)

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Images to features ``[B, H]``.

        Raises:
          ValueError: images of another size.
        """
        tokens = self.patches(inputs)
        mask = tokens["mask"]
        return masked_mean(self.stack(self.dropout(tokens["values"]), mask), mask)
