"""A fusion head in which modalities are tokens that attend to each other."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.specs import check_optional_sizes, check_sizes
from masam_jax.models.sequence_inputs import prepend_token
from masam_jax.models.transformer import TransformerStack, learned_vectors


class AttentionFusion(nnx.Module):
    r"""One token for each modality, one transformer block over them, and a dense layer.

    $$
    t_m = U_m f_m + a_m, \qquad h = N(T([q; t_1; \ldots; t_M]))_0, \qquad z = W h + b
    $$

    with $q$ a learned token whose output is read, $T$ a pre-norm
    `TransformerBlock` without dropout, and $N$ layer normalisation.
    The bias $a_m$ is what tells modalities apart; their order means nothing.

    Args:
      features: modality -> size H_m of its features.
      num_classes: C.
      width: size of the tokens, a multiple of ``heads``; that of the largest features, rounded up
        to such a multiple, when None.
      heads: attention heads.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters are drawn from.

    Raises:
      ValueError: ``heads`` or ``width`` is below 1, or ``heads`` does not divide ``width``.
    """

    def __init__(
        self,
        features: Mapping[str, int],
        num_classes: int,
        *,
        width: int | None = None,
        heads: int = 4,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_sizes(heads=heads)
        check_optional_sizes(width=width)
        units = -(-max(features.values()) // heads) * heads if width is None else width
        self.stack = TransformerStack(
            units, 1, heads, dtype=dtype, param_dtype=param_dtype, rngs=rngs
        )
        self.token = learned_vectors(1, units, param_dtype=param_dtype, rngs=rngs)
        self.project = nnx.data(
            {
                m: nnx.Linear(size, units, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
                for m, size in sorted(features.items())
            }
        )
        self.dense = nnx.Linear(units, num_classes, dtype=dtype, param_dtype=param_dtype, rngs=rngs)

    def __call__(self, features: Mapping[str, jax.Array]) -> jax.Array:
        """Features ``{m: [B, H_m]}`` of all modalities to logits ``[B, C]``."""
        return self._logits({m: features[m] for m in self.project})

    def modality_logits(self, features: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        """``{m: [B, C]}``, the logits where the learned token sees no modality but m.

        The tokens of the others are left out, not zero. They do not add up to the fusion logits.
        """
        return {m: self._logits({m: features[m]}) for m in sorted(features)}

    def _logits(self, features: Mapping[str, jax.Array]) -> jax.Array:
        tokens = jnp.stack([self.project[m](f) for m, f in features.items()], axis=1)
        mask = jnp.ones(tokens.shape[:2], jnp.bool)
        return self.dense(self.stack(*prepend_token(self.token[...], tokens, mask))[:, 0])
