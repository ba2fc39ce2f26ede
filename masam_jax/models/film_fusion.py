"""A fusion head in which modalities scale and shift the features of one of them."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.models.conditioning import acted_upon, logits_alone


class FiLMFusion(nnx.Module):
    r"""Feature-wise linear modulation of one modality by every other, then one dense layer.

    With c the conditioned modality and the others in sorted order,

    $$
    h \leftarrow f_c, \qquad
    h \leftarrow (1 + \Delta\gamma_m) \odot h + \beta_m, \quad
    (\Delta\gamma_m, \beta_m) = V_m f_m + a_m \quad \text{for each } m \neq c, \qquad
    z = W h + b
    $$

    The paper has one conditioning input; here each further modality modulates what the ones before
    it left. One modality alone is conditioned by nothing: $z = W f + b$.

    Args:
      features: modality -> size H_m of its features.
      num_classes: C.
      conditioned: the modality whose features are scaled and shifted; the last one in sorted order
        when None.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters are drawn from.

    Raises:
      ValueError: ``conditioned`` names no modality.

    References:
      Ethan Perez, Florian Strub, Harm de Vries, Vincent Dumoulin, Aaron Courville. FiLM: Visual
      Reasoning with a General Conditioning Layer. AAAI 2018 (scale and shift; the appendix learns 1
      + Δγ, lest a scale about zero cut off activations and gradients).
      https://arxiv.org/abs/1709.07871

    Differences from the release:
      OGM-GE's ``FiLM`` (audio conditions video) learns γ itself, equal to this one with 1 taken
      from the bias of γ. Its training loop has no per-modality logits for this head: it halves W,
      whose columns are those of one modality alone, and fails on the shapes.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        num_classes: int,
        *,
        conditioned: str | None = None,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self._sizes = dict(sorted(features.items()))
        self._conditioned = acted_upon("conditioned", conditioned, tuple(self._sizes))
        width = features[self._conditioned]
        self.film = nnx.data(
            {
                m: nnx.Linear(size, 2 * width, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
                for m, size in self._sizes.items()
                if m != self._conditioned
            }
        )
        self.dense = nnx.Linear(width, num_classes, dtype=dtype, param_dtype=param_dtype, rngs=rngs)

    def __call__(self, features: Mapping[str, jax.Array]) -> jax.Array:
        """Features ``{m: [B, H_m]}`` of all modalities to logits ``[B, C]``."""
        hidden = features[self._conditioned]
        for m in sorted(self.film):
            change, shift = jnp.split(self.film[m](features[m]), 2, axis=-1)
            hidden = (1 + change) * hidden.astype(change.dtype) + shift
        return self.dense(hidden)

    def modality_logits(self, features: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """``{m: [B, C]}``, the logits where all features but those of m are zero.

        They do not add up to the fusion logits.
        """
        return logits_alone(self, features, self._sizes)
