"""Early fusion, and late fusion over a shared backbone: one transformer for all modalities."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from masam_jax.core.random_keys import typed_key
from masam_jax.core.target_losses import TargetError
from masam_jax.models.fusion import UnimodalHead
from masam_jax.models.network import LateFusionNetwork
from masam_jax.models.pure_module import ModuleFactory, ParamDict, PureModule
from masam_jax.models.token_fusion import TokenFusion


class EarlyFusionNetwork(LateFusionNetwork):
    r"""A tokenizer for each modality, and one transformer, the trunk, over all tokens.

    With $h(S)$ the trunk's output (`TokenFusion`) where the
    modalities in S alone are given, the logits are

    $$
    z = W h(M) + b, \qquad z_m = W_m h(\{m\}) + b_m
    $$

    for fusion and for each modality. With ``shared_backbone`` modalities never attend to each
    other, and fusion is that of late fusion on vectors from the same trunk:

    $$
    z = W [h(\{1\}); \ldots; h(\{M\})] + b
    $$

    Parameters live outside, in a nested dict of arrays with string keys::

        {"encoders": {m: …}, "trunk": …, "fusion": …, "heads": {m: …}}

    It is used as `LateFusionNetwork` is: the tokenizers are the encoders, and alone labelled
    with their modality; the trunk belongs to the objective and to ``"other"``. A unimodal loss
    therefore reaches no other modality's parameters, and MASAM's cheap second pass is exact. What
    it perturbs is a small part of the network, though: that of one modality's tokenizer.

    Features are tokens, ``{m: {"values": [B, T_m, H], "mask": bool [B, T_m]}}``.

    Args:
      tokenizers: modality -> factory of a Flax NNX module, called as ``factory(rngs=nnx.Rngs(…))``;
        the module maps a batch to tokens of size H. For instance
        ``functools.partial(SequenceTokenizer, 300, width=64, max_length=50)``.
      num_classes: C, or the number of labels or of targets K.
      width: H.
      depth: blocks of the trunk.
      heads: attention heads of the trunk, which divide ``width``.
      shared_backbone: whether each modality passes the trunk by itself.
      multi_label: whether logits are of K labels, each zero or one, rather than of C classes.
      regression: of K targets, the error that is its loss, as `LateFusionNetwork` takes it.
      dtype: dtype of the computation of trunk and heads; None leaves it to tokens and parameters.
      param_dtype: dtype of their parameters.

    Raises:
      ValueError: for no modality, a modality named ``"other"``, fewer than 2 classes or no label,
        sizes that do not fit, or a tokenizer with another kind of state than
        `LateFusionNetwork` accepts of encoders.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> from functools import partial
      >>> from masam_jax.models import PatchTokenizer, SequenceTokenizer
      >>> tokenizers = {
      ...     "image": partial(PatchTokenizer, 3, (8, 8), width=16, patch=(4, 4)),
      ...     "text": partial(SequenceTokenizer, 5, width=16, max_length=6),
      ... }
      >>> network = EarlyFusionNetwork(tokenizers, num_classes=3, width=16, depth=1)
      >>> params = network.init(jax.random.key(0))
      >>> inputs = {"image": jnp.zeros((2, 8, 8, 3)), "text": jnp.zeros((2, 6, 5))}
      >>> logits, unimodal_logits = jax.jit(network.apply)(params, inputs)
      >>> logits.shape, unimodal_logits["text"].shape
      ((2, 3), (2, 3))
    """

    def __init__(
        self,
        tokenizers: Mapping[str, ModuleFactory],
        num_classes: int,
        *,
        width: int = 64,
        depth: int = 2,
        heads: int = 4,
        shared_backbone: bool = False,
        multi_label: bool = False,
        regression: TargetError | None = None,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
    ):
        dtypes: dict[str, Any] = {"dtype": dtype, "param_dtype": param_dtype}
        widths = dict.fromkeys(tokenizers, width)
        super().__init__(
            tokenizers,
            widths,
            num_classes,
            multi_label=multi_label,
            regression=regression,
            **dtypes,
        )
        self._shared_backbone = shared_backbone
        self._trunk = PureModule(
            "trunk", partial(TokenFusion, self.modalities, width, depth, heads, **dtypes)
        )
        if not shared_backbone:
            self._fusion = PureModule("fusion", partial(UnimodalHead, width, num_classes, **dtypes))

    def init(self, key: jax.Array) -> ParamDict:
        """Draw parameters from a PRNG key; to be jitted, or mapped over keys, at will."""
        rest, trunk = jax.random.split(typed_key(key))
        return super().init(rest) | {"trunk": self._trunk.init(trunk)}

    def fuse(self, params: ParamDict, features: Mapping[str, Any]) -> jax.Array:
        """Fusion logits ``[B, C]`` of the tokens of all modalities."""
        if self._shared_backbone:
            return super().fuse(params, self._alone(params, features))
        return self._fusion(params["fusion"], self._trunk(params["trunk"], features))

    def modality_logits(
        self, params: ParamDict, features: Mapping[str, Any]
    ) -> dict[str, jax.Array]:
        """Each modality's own part ``{m: [B, C]}`` of the fusion logits, from its tokens alone.

        Early fusion: ``W h({m}) + b``, the fusion logits where no other modality has tokens. With a
        shared backbone: ``W_m h({m}) + b/M``; these add up to the fusion logits.

        Args:
          params: as drawn by `init`.
          features: tokens of some or all modalities; logits are of these.
        """
        alone = self._alone(params, features)
        if self._shared_backbone:
            return super().modality_logits(params, alone)
        return {m: self._fusion(params["fusion"], vector) for m, vector in alone.items()}

    def unimodal(self, params: ParamDict, features: Mapping[str, Any]) -> dict[str, jax.Array]:
        """Unimodal logits ``{m: [B, C]}``: the trunk on its own tokens alone, then its head."""
        return super().unimodal(params, self._alone(params, features))

    def _alone(self, params: ParamDict, features: Mapping[str, Any]) -> dict[str, jax.Array]:
        """The trunk's output ``{m: [B, H]}`` for each modality by itself."""
        return {m: self._trunk(params["trunk"], {m: features[m]}) for m in sorted(features)}
