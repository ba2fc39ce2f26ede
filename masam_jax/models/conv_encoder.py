"""A small convolutional network for images."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.specs import check_sizes
from masam_jax.models.convolution import conv
from masam_jax.models.normalization import normalise


class ConvEncoder(nnx.Module):
    """Strided 3 x 3 convolutions with ReLU, global average pooling, and a dense layer with ReLU.

    Images ``[B, H, W, C]`` of any size, features ``[B, width]``. Each convolution halves the
    resolution (stride 2, zero padding "SAME"). There are no running statistics: the forward pass is
    a function of parameters and inputs alone, so MASAM's two points see the same network.

    Args:
      in_channels: C.
      width: size of the features.
      channels: channels of each convolution; their number is the depth.
      groups: number of groups of a group normalisation after each convolution, which must divide
        all ``channels``; None for no normalisation.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters are drawn from.
    """

    def __init__(
        self,
        in_channels: int,
        width: int = 32,
        channels: tuple[int, ...] = (16, 32, 64),
        *,
        groups: int | None = None,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_sizes(in_channels=in_channels, width=width)
        if not channels or min(channels) < 1:
            raise ValueError(f"channels is {channels}; positive numbers, at least one, are needed.")
        if groups is not None and (groups < 1 or any(size % groups for size in channels)):
            raise ValueError(
                f"groups is {groups}; it must divide every one of channels={channels}."
            )
        self._depth = len(channels)
        self._normalized = groups is not None
        for index, size in enumerate(channels):
            convolution = nnx.Conv(
                in_channels if index == 0 else channels[index - 1],
                size,
                kernel_size=(3, 3),
                strides=2,
                conv_general_dilated=conv,
                dtype=dtype,
                param_dtype=param_dtype,
                rngs=rngs,
            )
            setattr(self, f"conv_{index}", convolution)
            if groups is not None:
                norm = nnx.GroupNorm(size, groups, param_dtype=param_dtype, rngs=rngs)
                setattr(self, f"norm_{index}", norm)
        self.dense = nnx.Linear(
            channels[-1], width, dtype=dtype, param_dtype=param_dtype, rngs=rngs
        )

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Images ``[B, H, W, C]`` to features ``[B, width]``."""
        features = inputs
        for index in range(self._depth):
            features = getattr(self, f"conv_{index}")(features)
            if self._normalized:
                features = normalise(getattr(self, f"norm_{index}"), features)
            features = nnx.relu(features)
        return nnx.relu(self.dense(features.mean(axis=(-3, -2))))
