"""BERT's encoder for text."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from masam_jax.core.specs import check_sizes
from masam_jax.models.dropout import make_dropout
from masam_jax.models.normalization import LayerNorm
from masam_jax.models.sequence_inputs import SequenceInputs, check_length, split_mask
from masam_jax.models.transformer import TransformerStack, learned_vectors

_EPSILON = 1e-12


class TextTransformer(nnx.Module):
    """BERT: token, position and type embeddings, post-norm blocks, and the first token's vector.

    Inputs ``{"tokens": int [B, L], "mask": bool [B, L]}`` with True for a real token, or ``[B, L]``
    whose tokens are all real; features ``[B, width]``, the last block's output at the first token
    (``[CLS]``), without BERT's pooler. Tokens that are not real never matter. A text without a real
    token has finite features, the same for all such texts of one length. An id outside the
    vocabulary gives NaN.

    The defaults are BERT-base, whose weights `load_bert_weights`
    imports. All tokens are of type 0, the first segment.

    Args:
      vocabulary_size: number of token ids.
      width: size of a token inside, and of the features.
      depth: number of blocks.
      heads: attention heads, which divide ``width``.
      max_length: the longest L.
      dropout: rate on embeddings and inside the blocks; at 0 all state is parameters.
      types: number of type embeddings.
      feed_forward: units of the blocks' hidden layers; ``4 * width`` when None.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
      rngs: where initial parameters, and dropout, are drawn from.

    Raises:
      ValueError: an argument is out of range.

    References:
      Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language
      Understanding, NAACL 2019.
    """

    def __init__(
        self,
        vocabulary_size: int = 30522,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        max_length: int = 512,
        dropout: float = 0.1,
        *,
        types: int = 2,
        feed_forward: int | None = None,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
        rngs: nnx.Rngs,
    ):
        check_sizes(vocabulary_size=vocabulary_size, max_length=max_length, types=types)
        self._max_length = max_length
        self._dtype = dtype
        self.stack = TransformerStack(
            width,
            depth,
            heads,
            feed_forward=feed_forward,
            pre_norm=False,
            dropout=dropout,
            epsilon=_EPSILON,
            dtype=dtype,
            param_dtype=param_dtype,
            rngs=rngs,
        )
        self.tokens = learned_vectors(vocabulary_size, width, param_dtype=param_dtype, rngs=rngs)
        self.positions = learned_vectors(max_length, width, param_dtype=param_dtype, rngs=rngs)
        self.types = learned_vectors(types, width, param_dtype=param_dtype, rngs=rngs)
        self.norm = LayerNorm(width, _EPSILON, dtype=dtype, param_dtype=param_dtype, rngs=rngs)
        self.dropout = make_dropout(dropout, rngs=rngs)

    def __call__(self, inputs: SequenceInputs) -> jax.Array:
        """Token ids to features ``[B, width]``.

        Raises:
          ValueError: inputs of another form, ids that are no integers, or longer than
            ``max_length``.
        """
        tokens, mask = split_mask(inputs, "tokens", rank=2)
        if not jnp.issubdtype(tokens.dtype, jnp.integer):
            raise ValueError(f"tokens are {tokens.dtype}; integers are accepted.")
        length = tokens.shape[1]
        check_length(length, self._max_length)
        # Padding keeps an embedding, that of id 0: a text of zeros alone would have no direction
        # for the normalisations to scale, and with so small an epsilon no finite gradient.
        tokens = jnp.where(mask, tokens, 0)
        embedded = self.tokens[...].at[tokens].get(mode="fill", fill_value=jnp.nan)
        embedded = embedded + self.positions[:length][None] + self.types[:1][None]
        if self._dtype is not None:
            embedded = embedded.astype(self._dtype)
        return self.stack(self.dropout(self.norm(embedded)), mask)[:, 0]
