"""Images, vectors and sequences as tokens, for a transformer that all modalities share."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.specs import check_sizes
from masam_jax.models.convolution import conv
from masam_jax.models.sequence_inputs import (
    SequenceInputs,
    blank_padding,
    check_length,
    split_mask,
)
from masam_jax.models.transformer import learned_vectors


class PatchTokenizer(nnx.Module):
    """Patches of an image, each flattened through one dense layer, with learned positions.

    Images ``[B, height, width, C]``, tokens ``{"values": [B, T, H], "mask": bool [B, T]}`` with T
    the number of patches and all of them real. Rows and columns beyond the last whole patch are
    left out.

    Args:
      in_channels: C.
      image_size: height and width, in pixels.
      width: H.
      patch: height and width of a patch, in pixels.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters are drawn from.

    Raises:
      ValueError: a size below 1, or an image smaller than a patch.

    References:
      Dosovitskiy et al., An Image Is Worth 16x16 Words, ICLR 2021.
    """

    def __init__(
        self,
        in_channels: int,
        image_size: tuple[int, int],
        width: int = 64,
        patch: tuple[int, int] = (16, 16),
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_sizes(in_channels=in_channels, width=width, patch=min(patch))
        rows, columns = (size // side for size, side in zip(image_size, patch, strict=True))
        if min(rows, columns) < 1:
            raise ValueError(f"image_size is {image_size}; it must hold a patch of {patch}.")
        self._image_size = tuple(image_size)
        self.conv = nnx.Conv(
            in_channels,
            width,
            kernel_size=patch,
            strides=patch,
            padding="VALID",
            conv_general_dilated=conv,
            dtype=dtype,
            param_dtype=param_dtype,
            rngs=rngs,
        )
        count = rows * columns
        self.positions = learned_vectors(count, width, param_dtype=param_dtype, rngs=rngs)

    def __call__(self, inputs: jax.Array) -> dict[str, jax.Array]:
        """Images to tokens.

        Raises:
          ValueError: images of another size.
        """
        if inputs.ndim != 4 or inputs.shape[1:3] != self._image_size:
            height, width = self._image_size
            raise ValueError(
                f"images have shape {inputs.shape}; [B, {height}, {width}, C] is accepted."
            )
        patches = self.conv(inputs)
        values = patches.reshape(len(patches), -1, patches.shape[-1])
        values = values + self.positions[...].astype(values.dtype)[None]
        return {"values": values, "mask": jnp.ones(values.shape[:2], jnp.bool)}


class SequenceTokenizer(nnx.Module):
    """Steps of a sequence, each through one dense layer, with learned positions.

    Inputs ``{"values": [B, T, D], "mask": bool [B, T]}`` with True for a real step, ``[B, T, D]``
    whose steps are all real, or vectors ``[B, D]``, which become one token each. Tokens
    ``{"values": [B, T, H], "mask": bool [B, T]}``. What stands in a step that is not real never
    matters, not even NaN.

    Args:
      in_features: D.
      width: H.
      max_length: the longest T.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters are drawn from.

    Raises:
      ValueError: a size below 1.
    """

    def __init__(
        self,
        in_features: int,
        width: int = 64,
        max_length: int = 1,
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_sizes(in_features=in_features, width=width, max_length=max_length)
        self._max_length = max_length
        self.dense = nnx.Linear(in_features, width, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
        self.positions = learned_vectors(max_length, width, param_dtype=param_dtype, rngs=rngs)

    def __call__(self, inputs: SequenceInputs) -> dict[str, jax.Array]:
        """Sequences or vectors to tokens.

        Raises:
          ValueError: inputs of another form, or longer than ``max_length``.
        """
        if not isinstance(inputs, Mapping) and inputs.ndim == 2:
            inputs = inputs[:, None]
        values, mask = split_mask(inputs, "values", rank=3)
        length = values.shape[1]
        check_length(length, self._max_length)
        values = self.dense(blank_padding(values, mask))
        positions = self.positions[:length].astype(values.dtype)
        return {"values": values + positions[None], "mask": mask}
