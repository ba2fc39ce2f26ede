"""What comes after the encoders: the fusion heads by name, and the unimodal heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.specs import unknown
from masam_jax.models.attention_fusion import AttentionFusion
from masam_jax.models.film_fusion import FiLMFusion
from masam_jax.models.gated_fusion import GatedFusion
from masam_jax.models.sum_fusion import SumFusion


class ConcatFusion(nnx.Module):
    r"""One dense layer on the concatenation of all features, in sorted order of modality.

    $$
    z = \sum_m W_m f_m + b = \sum_m z_m, \qquad z_m = W_m f_m + b / M
    $$

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
        self._sizes = dict(sorted(features.items()))
        self.dense = nnx.Linear(
            sum(features.values()), num_classes, dtype=dtype, param_dtype=param_dtype, rngs=rngs
        )

    def __call__(self, features: Mapping[str, jax.Array]) -> jax.Array:
        """Features ``{m: [B, H_m]}`` of all modalities to logits ``[B, C]``."""
        return self.dense(jnp.concatenate([features[m] for m in self._sizes], axis=-1))

    def modality_logits(self, features: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """``{m: W_m f_m + b/M [B, C]}`` for the modalities in ``features``; all add up to z."""
        parameters: Any = self.dense
        kernel, bias = parameters.kernel[...], parameters.bias[...] / len(self._sizes)
        logits, start = {}, 0
        for m, size in self._sizes.items():
            if m in features:
                part = kernel[start : start + size]
                dtype = parameters.dtype or jnp.result_type(features[m], part, bias)
                x, w, b = (array.astype(dtype) for array in (features[m], part, bias))
                logits[m] = x @ w + b[None]
            start += size
        return logits


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


FUSIONS: dict[str, Callable[..., nnx.Module]] = {
    "concat": ConcatFusion,
    "sum": SumFusion,
    "film": FiLMFusion,
    "gated": GatedFusion,
    "attention": AttentionFusion,
}
"""Fusion heads by name: ``head(features, num_classes, dtype=…, param_dtype=…, rngs=…)``.

Each maps features of all modalities to logits, and has ``modality_logits``.
"""


def get_fusion(name: str) -> Callable[..., nnx.Module]:
    """The fusion head of that name.

    Raises:
      ValueError: there is none; the message names the nearest.
    """
    if name not in FUSIONS:
        raise ValueError(unknown("fusion", name, FUSIONS))
    return FUSIONS[name]
