"""A multilayer perceptron for vectors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.specs import check_sizes


class MLPEncoder(nnx.Module):
    """``depth`` dense layers of ``width`` units, each followed by ReLU.

    Inputs ``[..., D]`` (trailing axes of anything larger must be flattened by the caller), features
    ``[..., width]``. The layers are named ``dense_0, dense_1, …``, so that parameters are a plain
    nested dict with string keys.

    Args:
      in_features: D.
      width: units of every layer, and size of the features.
      depth: number of layers, at least 1.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters are drawn from (LeCun normal kernels, zero biases).
    """

    def __init__(
        self,
        in_features: int,
        width: int = 32,
        depth: int = 2,
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_sizes(in_features=in_features, width=width, depth=depth)
        self._depth = depth
        for index in range(depth):
            dense = nnx.Linear(
                in_features if index == 0 else width,
                width,
                dtype=dtype,
                param_dtype=param_dtype,
                rngs=rngs,
            )
            setattr(self, f"dense_{index}", dense)

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Vectors ``[..., D]`` to features ``[..., width]``."""
        features = inputs
        for index in range(self._depth):
            features = nnx.relu(getattr(self, f"dense_{index}")(features))
        return features
