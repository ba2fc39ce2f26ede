"""Residual blocks, with PyTorch's padding."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.models.convolution import conv
from masam_jax.models.normalization import make_norm, normalise

BOTTLENECK_EXPANSION = 4

_kaiming_normal = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")


def make_conv(
    in_channels: int,
    out_channels: int,
    size: int,
    stride: int = 1,
    *,
    dtype: DTypeLike | None = None,
    param_dtype: DTypeLike = jnp.float32,
    rngs: nnx.Rngs,
) -> nnx.Conv:
    """A convolution without bias, Kaiming normal by fan-out, padded as PyTorch pads.

    Padding is ``size // 2`` zeros at each border. "SAME" would, at stride 2 and an even resolution,
    put fewer zeros at the top and left, and shift the grid that published weights were trained on.

    Args:
      in_channels: channels of the inputs ``[B, H, W, C]``.
      out_channels: channels of the outputs.
      size: height and width of the kernel, odd.
      stride: stride in both directions.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the kernel.
      rngs: where the kernel is drawn from.

    Source: He et al., "Delving deep into rectifiers", ICCV 2015, section 2.2.
    """
    border = (size // 2, size // 2)
    return nnx.Conv(
        in_channels,
        out_channels,
        kernel_size=(size, size),
        strides=stride,
        padding=(border, border),
        use_bias=False,
        kernel_init=_kaiming_normal,
        conv_general_dilated=conv,
        dtype=dtype,
        param_dtype=param_dtype,
        rngs=rngs,
    )


def convolve_and_normalise(conv: Any, norm: Any, inputs: jax.Array) -> jax.Array:
    """``norm(conv(inputs))`` in the convolution's dtype."""
    return normalise(norm, conv(inputs))


class ResidualBlock(nnx.Module):
    """A residual block: ``relu(shortcut(x) + branch(x))``.

    Inputs ``[B, H, W, in_channels]``, outputs ``[B, ceil(H / stride), ceil(W / stride), C]``, where
    C is ``channels``, or ``4 * channels`` for a bottleneck. The branch is two 3 x 3 convolutions of
    ``channels``, the first with the stride; for a bottleneck it is 1 x 1, 3 x 3 with the stride,
    and 1 x 1 to ``4 * channels``. The shortcut is the identity where shapes allow, else a strided
    1 x 1 convolution. Every convolution is normalised (``conv_0, norm_0, conv_1, …,
    shortcut_conv, shortcut_norm``).

    Args:
      in_channels: channels of the inputs.
      channels: channels of the 3 x 3 convolutions.
      stride: 1, or 2 to halve the resolution.
      bottleneck: whether the branch is the bottleneck of three convolutions.
      norm: "batch" or "group".
      groups: number of groups of a group normalisation.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters are drawn from.

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016, figure 5 and
    option B; the stride is in the 3 x 3 convolution, as in torchvision and timm ("v1.5").
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        bottleneck: bool = False,
        norm: str = "batch",
        groups: int = 32,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        conv: Callable[..., Any] = partial(
            make_conv, dtype=dtype, param_dtype=param_dtype, rngs=rngs
        )
        normalisation: Callable[..., Any] = partial(
            make_norm, norm, groups=groups, param_dtype=param_dtype, rngs=rngs
        )
        out_channels = channels * (BOTTLENECK_EXPANSION if bottleneck else 1)
        # Size of the kernel, stride, channels of the outputs.
        layers: tuple[tuple[int, int, int], ...] = (
            ((1, 1, channels), (3, stride, channels), (1, 1, out_channels))
            if bottleneck
            else ((3, stride, channels), (3, 1, channels))
        )
        self._depth = len(layers)
        layer_inputs = in_channels
        for index, (size, layer_stride, layer_outputs) in enumerate(layers):
            setattr(self, f"conv_{index}", conv(layer_inputs, layer_outputs, size, layer_stride))
            setattr(self, f"norm_{index}", normalisation(layer_outputs))
            layer_inputs = layer_outputs
        self._projects = stride != 1 or in_channels != out_channels
        if self._projects:
            self.shortcut_conv = conv(in_channels, out_channels, 1, stride)
            self.shortcut_norm = normalisation(out_channels)

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Inputs ``[B, H, W, in_channels]`` to outputs at the strided resolution."""
        branch = inputs
        for index in range(self._depth):
            if index:
                branch = nnx.relu(branch)
            branch = convolve_and_normalise(
                getattr(self, f"conv_{index}"), getattr(self, f"norm_{index}"), branch
            )
        shortcut = inputs
        if self._projects:
            shortcut = convolve_and_normalise(self.shortcut_conv, self.shortcut_norm, inputs)
        return nnx.relu(shortcut + branch)


class ResidualStage(nnx.Module):
    """Residual blocks in a row, named ``block_0, block_1, …``; the first has the stride.

    Inputs ``[B, H, W, in_channels]``, outputs as of a `ResidualBlock` with this stride.

    Args:
      in_channels: channels of the inputs.
      channels: channels of the 3 x 3 convolutions.
      depth: number of blocks, at least 1.
      stride: stride of the first block.
      bottleneck: whether the blocks are bottlenecks.
      **options: the remaining arguments of `ResidualBlock`.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        depth: int,
        *,
        stride: int = 1,
        bottleneck: bool = False,
        **options: Any,
    ):
        self._depth = depth
        out_channels = channels * (BOTTLENECK_EXPANSION if bottleneck else 1)
        for index in range(depth):
            block = ResidualBlock(
                out_channels if index else in_channels,
                channels,
                stride=1 if index else stride,
                bottleneck=bottleneck,
                **options,
            )
            setattr(self, f"block_{index}", block)

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Inputs ``[B, H, W, in_channels]`` to outputs at the strided resolution."""
        features = inputs
        for index in range(self._depth):
            features = getattr(self, f"block_{index}")(features)
        return features
