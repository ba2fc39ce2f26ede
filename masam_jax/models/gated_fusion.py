"""A fusion head in which modalities gate the features of one of them."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.specs import check_optional_sizes
from masam_jax.models.conditioning import acted_upon, logits_alone


class GatedFusion(nnx.Module):
    r"""One modality's projected features times the sigmoid of every other's, then a dense layer.

    With g the gated modality,

    $$
    p_m = U_m f_m + a_m, \qquad
    h = p_g \odot \prod_{m \neq g} \sigma(p_m), \qquad z = W h + b
    $$

    The paper gates one of two modalities by the other; with more, each of the others closes its own
    gate. One modality alone is gated by nothing: $z = W (U f + a) + b$.

    Args:
      features: modality -> size H_m of its features.
      num_classes: C.
      gated: the modality whose features pass the gates; the last one in sorted order when None.
      width: size of the projections; that of the gated modality's features when None.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters are drawn from.

    Raises:
      ValueError: ``gated`` names no modality, or ``width`` is below 1.

    References:
      Douwe Kiela, Edouard Grave, Armand Joulin, Tomas Mikolov. Efficient Large-Scale Multi-Modal
      Classification. AAAI 2018 (gated fusion). https://arxiv.org/abs/1802.02892

    Differences from the release:
      OGM-GE's ``GatedFusion`` (audio gates video) computes the same logits. Its training loop has
      no per-modality logits for this head: it halves W, whose columns are those of one projection
      alone, and fails on the shapes.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        num_classes: int,
        *,
        gated: str | None = None,
        width: int | None = None,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_optional_sizes(width=width)
        self._sizes = dict(sorted(features.items()))
        self._gated = acted_upon("gated", gated, tuple(self._sizes))
        units = features[self._gated] if width is None else width
        self.project = nnx.data(
            {
                m: nnx.Linear(size, units, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
                for m, size in self._sizes.items()
            }
        )
        self.dense = nnx.Linear(units, num_classes, dtype=dtype, param_dtype=param_dtype, rngs=rngs)

    def __call__(self, features: Mapping[str, jax.Array]) -> jax.Array:
        """Features ``{m: [B, H_m]}`` of all modalities to logits ``[B, C]``."""
        hidden = self.project[self._gated](features[self._gated])
        for m in self._sizes:
            if m != self._gated:
                hidden = hidden * nnx.sigmoid(self.project[m](features[m]))
        return self.dense(hidden)

    def modality_logits(self, features: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """``{m: [B, C]}``, the logits where all features but those of m are zero.

        They do not add up to the fusion logits.
        """
        return logits_alone(self, features, self._sizes)
