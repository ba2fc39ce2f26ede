"""Layer normalisation in float32 or wider."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.scores import accumulation_dtype


class LayerNorm(nnx.Module):
    r"""Layer normalisation over the last axis.

    .. math:: y = s \odot \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + b

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
        outputs = scaled * self.scale.astype(wide) + self.bias.astype(wide)
        return outputs.astype(inputs.dtype if self._dtype is None else self._dtype)
