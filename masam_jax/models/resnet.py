"""ResNet-18, -34 and -50 for images and spectrograms."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.specs import check_choice, check_flag, check_optional_sizes, check_sizes
from masam_jax.models.normalization import make_norm
from masam_jax.models.resnet_blocks import (
    BOTTLENECK_EXPANSION,
    ResidualStage,
    convolve_and_normalise,
    make_conv,
)

# Blocks of each stage, and whether they are bottlenecks.
_ARCHITECTURES = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
}
_STAGES = 4


class ResNet(nnx.Module):
    """A residual network without classifier: images ``[B, H, W, C]``, features ``[B, F]``.

    Features are the average over all positions of the last stage, after ReLU: F is 512 for depths
    18 and 34, 2048 for 50, and in ``feature_size``. With ``width`` a dense layer without activation
    follows, and F is ``width``. The resolution falls 32-fold (4-fold less with ``small_stem``).

    Batch normalisation is ``nnx.BatchNorm``: ``train()`` and ``eval()`` choose between the batch's
    statistics and the running ones, which are ``nnx.BatchStat``. Group normalisation has none.
    Parameters and statistics are nested dicts: ``stem_conv``, ``stem_norm``,
    ``stage_0.block_0.conv_0`` and so on, and ``dense``.

    Args:
      depth: 18, 34 or 50.
      in_channels: C.
      width: size of the features of a final dense layer; None for no such layer.
      norm: "batch" or "group".
      groups: number of groups of a group normalisation, a divisor of ``base_channels``.
      small_stem: a 3 x 3 stem of stride 1 and no pooling, for images of about 32 x 32, instead of
        7 x 7 of stride 2 and a 3 x 3 maximum of stride 2.
      base_channels: channels of the stem and of the first stage; each next stage has twice as many.
        The published networks have 64.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters are drawn from (Kaiming normal convolutions by fan-out, LeCun
        normal dense kernel, unit scales, zero biases).

    Raises:
      ValueError: an argument is out of range.

    Source: He et al., "Deep residual learning for image recognition", CVPR 2016; strides and
    padding as in torchvision and timm ("v1.5"), so that their weights fit
    (``masam_jax.models.weights.load_resnet_weights``).
    """

    def __init__(
        self,
        depth: int,
        in_channels: int = 3,
        *,
        width: int | None = None,
        norm: str = "batch",
        groups: int = 32,
        small_stem: bool = False,
        base_channels: int = 64,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        _check_arguments(depth, in_channels, width, norm, groups, base_channels)
        check_flag("small_stem", small_stem)
        blocks, bottleneck = _ARCHITECTURES[depth]
        options: dict[str, Any] = {"dtype": dtype, "param_dtype": param_dtype, "rngs": rngs}
        self._in_channels = in_channels
        self._small_stem = small_stem
        size, stride = (3, 1) if small_stem else (7, 2)
        self.stem_conv = make_conv(in_channels, base_channels, size, stride, **options)
        self.stem_norm = make_norm(
            norm, base_channels, groups=groups, param_dtype=param_dtype, rngs=rngs
        )
        expansion = BOTTLENECK_EXPANSION if bottleneck else 1
        stage_inputs = base_channels
        for index in range(_STAGES):
            channels = base_channels * 2**index
            stage = ResidualStage(
                stage_inputs,
                channels,
                blocks[index],
                stride=2 if index else 1,
                bottleneck=bottleneck,
                norm=norm,
                groups=groups,
                **options,
            )
            setattr(self, f"stage_{index}", stage)
            stage_inputs = channels * expansion
        self.feature_size = stage_inputs if width is None else width
        self._projects = width is not None
        if width is not None:
            self.dense = nnx.Linear(stage_inputs, width, **options)

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Images ``[B, H, W, C]`` to features ``[B, F]``.

        Raises:
          ValueError: the images have another number of axes or channels.
        """
        if inputs.ndim != 4 or inputs.shape[-1] != self._in_channels:
            raise ValueError(
                f"the inputs have shape {inputs.shape}; images [B, H, W, {self._in_channels}] "
                "are needed."
            )
        features = nnx.relu(convolve_and_normalise(self.stem_conv, self.stem_norm, inputs))
        if not self._small_stem:
            # PyTorch's padding, one at each border, where "SAME" would shift the grid.
            features = nnx.max_pool(features, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for index in range(_STAGES):
            features = getattr(self, f"stage_{index}")(features)
        features = features.mean(axis=(1, 2))
        return self.dense(features) if self._projects else features


def _check_arguments(
    depth: int, in_channels: int, width: int | None, norm: str, groups: int, base_channels: int
) -> None:
    if depth not in _ARCHITECTURES:
        raise ValueError(f"depth is {depth}; it must be one of {list(_ARCHITECTURES)}.")
    check_sizes(in_channels=in_channels, base_channels=base_channels)
    check_optional_sizes(width=width)
    check_choice("norm", norm, ("batch", "group"))
    if norm == "group" and (groups < 1 or base_channels % groups):
        raise ValueError(f"groups is {groups}; it must divide base_channels={base_channels}.")
