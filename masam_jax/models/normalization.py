"""Layer, batch and group normalisation, in float32 or wider."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.numerics import accumulation_dtype


class LayerNorm(nnx.Module):
    r"""Layer normalisation over the last axis.

    $$
    y = s \odot \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + b
    $$

    Mean and variance (about the mean) are taken in float32 or wider. Flax's own subtracts squared
    means, which loses BERT's epsilon of 1e-12, or promotes to float32 implicitly, which strict
    dtype promotion refuses.

    Args:
      width: size of the last axis.
      epsilon: added to the variance.
      dtype: dtype of the output; None for that of the inputs.
      param_dtype: dtype of the parameters.
      rngs: unused; all modules take it.

    References:
      Ba, Kiros, Hinton, Layer Normalization, 2016.
    """

    def __init__(
        self,
        width: int,
        epsilon: float = 1e-5,
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        del rngs
        self._epsilon = epsilon
        self._dtype = dtype
        self.scale = nnx.Param(jnp.ones((width,), param_dtype))
        self.bias = nnx.Param(jnp.zeros((width,), param_dtype))

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """``[..., width]`` to ``[..., width]``."""
        wide = accumulation_dtype((inputs, self.scale[...]))
        centred = inputs.astype(wide) - inputs.astype(wide).mean(axis=-1, keepdims=True)
        variance = jnp.square(centred).mean(axis=-1, keepdims=True)
        scaled = centred * jax.lax.rsqrt(variance + self._epsilon)
        scale, bias = (
            jnp.broadcast_to(x.astype(wide), scaled.shape) for x in (self.scale, self.bias)
        )
        outputs = scaled * scale + bias
        return outputs.astype(inputs.dtype if self._dtype is None else self._dtype)


def make_norm(
    kind: str,
    channels: int,
    *,
    groups: int = 32,
    param_dtype: DTypeLike = jnp.float32,
    rngs: nnx.Rngs,
) -> nnx.BatchNorm | nnx.GroupNorm:
    """A batch or group normalisation with PyTorch's epsilon (1e-5) and momentum.

    PyTorch's momentum of 0.1 weighs the new value, Flax's 0.9 the old one: the rule is the same.
    One detail is not: the running variance takes the batch's biased variance, where PyTorch divides
    by one less than the number of values.

    Mean and variance, running ones too, are taken in float32 or wider, the variance about the mean:
    E[x²] − E[x]² cancels where a channel's mean is large. To be called through `normalise`.

    Args:
      kind: "batch" or "group".
      channels: size of the last axis of the inputs.
      groups: number of groups of a group normalisation, a divisor of ``channels``.
      param_dtype: dtype of scale and bias.
      rngs: an argument of every Flax layer; scale and bias start at 1 and 0.
    """
    options: dict[str, Any] = {
        "epsilon": 1e-5,
        "use_fast_variance": False,
        "param_dtype": param_dtype,
        "rngs": rngs,
    }
    if kind == "group":
        return nnx.GroupNorm(channels, groups, **options)
    norm = nnx.BatchNorm(channels, momentum=0.9, **options)
    # Flax's are float32 whatever the parameters.
    wide = accumulation_dtype(jnp.zeros((), param_dtype))
    norm.mean, norm.var = (nnx.BatchStat(x.astype(wide)) for x in (norm.mean, norm.var))
    return norm


def normalise(norm: nnx.BatchNorm | nnx.GroupNorm, inputs: jax.Array) -> jax.Array:
    """``norm(inputs)`` in the dtype of the inputs, whatever that of parameters and statistics.

    Flax's layers promote implicitly, which strict dtype promotion refuses.
    """
    with jax.numpy_dtype_promotion("standard"):
        outputs = norm(inputs)
    return outputs.astype(inputs.dtype)
