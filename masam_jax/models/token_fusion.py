"""One transformer over the tokens of all modalities."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.models.sequence_inputs import blank_padding, prepend_token
from masam_jax.models.transformer import TransformerStack, learned_vectors

Tokens = Mapping[str, jax.Array]


class TokenFusion(nnx.Module):
    r"""Tokens of any of the modalities, one after the other, to the output at a learned token.

    $$
    h(S) = N(T([q; x_m + e_m : m \in S]))_0
    $$

    with $S$ the modalities that are given, $x_m$ the tokens of one of them,
    $e_m$ its learned embedding, $q$ the learned token, $T$ pre-norm transformer
    blocks without dropout, and $N$ layer normalisation. With all modalities it is early
    fusion; with one alone, that modality's unimodal vector from the same parameters.

    Inputs ``{m: {"values": [B, T_m, H], "mask": bool [B, T_m]}}`` with True for a real token,
    output ``[B, H]``. Tokens that are not real never matter; without a real one the learned token
    attends to itself alone.

    Args:
      modalities: their names.
      width: H.
      depth: number of blocks.
      heads: attention heads, which divide ``width``.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters are drawn from.

    Raises:
      ValueError: an argument is out of range.
    """

    def __init__(
        self,
        modalities: Collection[str],
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        *,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self._width = width
        self.stack = TransformerStack(
            width, depth, heads, dtype=dtype, param_dtype=param_dtype, rngs=rngs
        )
        self.token = learned_vectors(1, width, param_dtype=param_dtype, rngs=rngs)
        self.modality = nnx.data(
            {
                m: learned_vectors(1, width, param_dtype=param_dtype, rngs=rngs)
                for m in sorted(modalities)
            }
        )

    def __call__(self, features: Mapping[str, Tokens]) -> jax.Array:
        """Tokens of some or all modalities to ``[B, H]``.

        Raises:
          ValueError: no tokens at all, or tokens of another size than H.
        """
        if not features:
            raise ValueError("features are empty; the tokens of at least one modality are needed.")
        values = [self._of_modality(m, features[m]["values"]) for m in sorted(features)]
        masks = [features[m]["mask"] for m in sorted(features)]
        steps, mask = jnp.concatenate(values, axis=1), jnp.concatenate(masks, axis=1)
        return self.stack(*prepend_token(self.token[...], blank_padding(steps, mask), mask))[:, 0]

    def _of_modality(self, modality: str, values: jax.Array) -> jax.Array:
        if values.shape[-1] != self._width:
            raise ValueError(
                f"tokens of {modality!r} have size {values.shape[-1]}; the trunk's width is "
                f"{self._width}, and its tokenizers need the same."
            )
        own = self.modality[modality][...].astype(values.dtype)
        return values + jnp.broadcast_to(own, values.shape)
