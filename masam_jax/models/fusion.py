"""What comes after the encoders: the fusion head and the unimodal heads."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike


class ConcatFusion(nnx.Module):
    """One dense layer on the concatenation of all features, in sorted order of modality.

    Args:
      features: modality -> size H_m of its features.
      num_classes: C.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters are drawn from.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        num_classes: int,
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self._modalities = tuple(sorted(features))
        self.dense = nnx.Linear(
            sum(features.values()), num_classes, dtype=dtype, param_dtype=param_dtype, rngs=rngs
        )

    def __call__(self, features: Mapping[str, jax.Array]) -> jax.Array:
        """Features ``{m: [B, H_m]}`` to logits ``[B, C]``."""
        joined = jnp.concatenate([features[modality] for modality in self._modalities], axis=-1)
        return self.dense(joined)


class UnimodalHead(nnx.Module):
    """One dense layer from one modality's features ``[B, H]`` to logits ``[B, C]``.

    Args:
      features: H.
      num_classes: C.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters are drawn from.
    """

    def __init__(
        self,
        features: int,
        num_classes: int,
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.dense = nnx.Linear(
            features, num_classes, dtype=dtype, param_dtype=param_dtype, rngs=rngs
        )

    def __call__(self, features: jax.Array) -> jax.Array:
        """Features ``[B, H]`` to logits ``[B, C]``."""
        return self.dense(features)
