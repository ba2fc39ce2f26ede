"""A fusion head that adds up logits of each modality."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike


class SumFusion(nnx.Module):
    r"""One dense layer for each modality, whose logits are added.

    $$
    z = \sum_m z_m, \qquad z_m = W_m f_m + b_m
    $$

    It computes the same functions as `ConcatFusion`, whose bias is shared; initial kernels
    are scaled by each modality's own size rather than by that of all features together.

    Args:
      features: modality -> size H_m of its features.
      num_classes: C.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters are drawn from.

    Differences from the release:
      OGM-GE's ``SumFusion`` is this layer for two modalities. Its training takes ``b_m`` into the
      logits of a modality, as here; its validation takes ``b_m / 2``, so that they do not add up.
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
        self.dense = nnx.data(
            {
                m: nnx.Linear(
                    features[m], num_classes, dtype=dtype, param_dtype=param_dtype, rngs=rngs
                )
                for m in sorted(features)
            }
        )

    def __call__(self, features: Mapping[str, jax.Array]) -> jax.Array:
        """Features ``{m: [B, H_m]}`` of all modalities to logits ``[B, C]``."""
        logits = self.modality_logits({m: features[m] for m in self.dense})
        return functools.reduce(operator.add, logits.values())

    def modality_logits(self, features: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """``{m: W_m f_m + b_m [B, C]}`` for the modalities in ``features``; all add up to z."""
        return {m: self.dense[m](features[m]) for m in sorted(features)}
