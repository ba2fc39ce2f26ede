"""Late-fusion networks: Flax modules inside, pure functions of a plain dict of arrays outside."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from masam_jax.core.late_fusion import LateFusion
from masam_jax.core.losses import SampleLoss, sample_cross_entropy
from masam_jax.core.partition import refuse_step_count
from masam_jax.core.random_keys import typed_key
from masam_jax.core.target_losses import TargetError, target_loss
from masam_jax.models.fusion import UnimodalHead, get_fusion
from masam_jax.models.mlp import MLPEncoder
from masam_jax.models.objectives import objective_of
from masam_jax.models.pure_functions import (
    PureEncoder,
    PureFunctions,
    PureFusion,
    taken_apart,
)
from masam_jax.models.pure_module import ModuleFactory, ParamDict, PureModule

LogitObjective = Callable[[jax.Array, dict[str, jax.Array], jax.Array], Any]


class LateFusionNetwork:
    """One encoder and one unimodal head for each modality, and a fusion head over all features.

    Parameters live outside, in a nested dict of arrays with string keys::

        {"encoders": {m: …}, "fusion": …, "heads": {m: …}}

    Every method is a pure function of them: it can be jitted, differentiated, and mapped over
    parameters of several seeds stacked along a leading axis.

    Args:
      encoders: modality -> factory of a Flax NNX module, called as ``factory(rngs=nnx.Rngs(…))``;
        the module maps a batch ``[B, …]`` to features ``[B, H_m]``. Beside ``nnx.Param`` it may
        hold running statistics (``nnx.BatchStat``) and dropout's random streams. For instance
        ``functools.partial(MLPEncoder, 64, width=32)``. Or a `PureEncoder`, of any library.
      features: modality -> H_m.
      num_classes: C, or the number of labels or of targets K.
      fusion: the fusion head, a name of `FUSIONS`: ``"concat"``, ``"sum"``,
        ``"film"``, ``"gated"`` or ``"attention"``; or a `PureFusion`.
      multi_label: whether logits are of K labels, each zero or one, rather than of C classes.
      regression: of K targets, the error that is its loss, ``"squared"`` or ``"absolute"``: what
        stands for logits are estimates then. None for classes and labels.
      dtype: dtype of the heads' computation; None leaves it to features and parameters.
      param_dtype: dtype of the heads' parameters.

    Raises:
      ValueError: for no modality, encoders and features that name different ones, a modality named
        ``"other"``, fewer than 2 classes, no label or no target, an unknown fusion head, or an
        encoder with another kind of state.

    Examples:
      >>> import jax, jax.numpy as jnp
      >>> network = mlp_network({"audio": 5, "video": 7}, num_classes=3)
      >>> params = network.init(jax.random.key(0))
      >>> sorted(params)
      ['encoders', 'fusion', 'heads']
      >>> inputs = {"audio": jnp.zeros((2, 5)), "video": jnp.zeros((2, 7))}
      >>> logits, unimodal_logits = network.apply(params, inputs)
      >>> logits.shape, unimodal_logits["video"].shape
      ((2, 3), (2, 3))
    """

    def __init__(
        self,
        encoders: Mapping[str, ModuleFactory | PureEncoder],
        features: Mapping[str, int],
        num_classes: int,
        *,
        fusion: str | PureFusion = "concat",
        multi_label: bool = False,
        regression: TargetError | None = None,
        dtype: DTypeLike | None = None,
        param_dtype: DTypeLike = jnp.float32,
    ):
        if not encoders:
            raise ValueError("encoders are empty; at least one modality is needed.")
        if set(encoders) != set(features):
            raise ValueError(
                f"encoders name {sorted(encoders)} and features {sorted(features)}; "
                "both must name the same modalities."
            )
        if "other" in encoders:
            raise ValueError("encoders: 'other' cannot name a modality; it labels everything else.")
        least = 2 if not multi_label and regression is None else 1
        if num_classes < least:
            raise ValueError(f"num_classes is {num_classes}; at least {least} are needed.")
        if multi_label and regression is not None:
            raise ValueError("multi_label and regression exclude each other; give one of them.")
        self._multi_label = multi_label
        self._is_regression = regression is not None
        self._sample_loss = sample_cross_entropy if regression is None else target_loss(regression)
        self._statistics: ParamDict = {}
        self._modalities = tuple(sorted(encoders))
        self._num_classes = num_classes
        self._feature_sizes = {m: features[m] for m in self._modalities}
        self._encoders = {m: taken_apart(f"encoders[{m!r}]", encoders[m]) for m in self._modalities}
        self._fusion: PureModule | PureFunctions
        if isinstance(fusion, PureFusion):
            self._fusion = PureFunctions(fusion, self._feature_sizes)
        else:
            head = get_fusion(fusion)
            self._fusion = PureModule(
                "fusion",
                partial(head, features, num_classes, dtype=dtype, param_dtype=param_dtype),
            )
        self._heads = {
            m: PureModule(
                f"heads[{m!r}]",
                partial(
                    UnimodalHead, features[m], num_classes, dtype=dtype, param_dtype=param_dtype
                ),
            )
            for m in self._modalities
        }

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, sorted."""
        return self._modalities

    @property
    def num_classes(self) -> int:
        """The number of classes C, or of labels K."""
        return self._num_classes

    @property
    def multi_label(self) -> bool:
        """Whether logits are of K labels, each zero or one."""
        return self._multi_label

    @property
    def is_regression(self) -> bool:
        """Whether what stands for logits are estimates of K targets."""
        return self._is_regression

    @property
    def sample_loss(self) -> SampleLoss:
        """Each sample's loss ``[B]`` of logits and labels: cross-entropy, or targets' error."""
        return self._sample_loss

    @property
    def is_random(self) -> bool:
        """Whether an encoder has dropout, and needs a key where it trains."""
        return any(encoder.is_random for encoder in self._encoders.values())

    @property
    def feature_sizes(self) -> dict[str, int]:
        """The size H_m of each modality's features, sorted by modality."""
        return dict(self._feature_sizes)

    def init(self, key: jax.Array) -> ParamDict:
        """Draw parameters from a PRNG key; to be jitted, or mapped over keys, at will."""
        # One key for each part by its place in the sorted order, encoders first.
        modalities = self._modalities
        fusion, *keys = jax.random.split(typed_key(key), 1 + 2 * len(modalities))
        encoders, heads = keys[: len(modalities)], keys[len(modalities) :]
        return {
            "encoders": {
                m: self._encoders[m].init(own) for m, own in zip(modalities, encoders, strict=True)
            },
            "fusion": self._fusion.init(fusion),
            "heads": {
                m: self._heads[m].init(own) for m, own in zip(modalities, heads, strict=True)
            },
        }

    def init_statistics(self) -> ParamDict:
        """Running statistics ``{m: …}`` before the first step; empty for encoders without any."""
        return {
            m: encoder.init_statistics()
            for m, encoder in self._encoders.items()
            if encoder.has_statistics
        }

    def with_statistics(self, statistics: ParamDict) -> LateFusionNetwork:
        """The network that predicts with these running statistics ``{m: …}``."""
        bound = copy.copy(self)
        bound._statistics = statistics
        return bound

    def encode(self, params: ParamDict, modality: str, inputs: Any) -> jax.Array:
        """Features ``[B, H_m]`` of one modality's inputs ``[B, …]``; reads its encoder alone.

        As it predicts: without dropout, and with the running statistics of
        `with_statistics`, or those before the first step.
        """
        encoder, statistics = self._encoders[modality], self._statistics.get(modality)
        return encoder(params["encoders"][modality], inputs, statistics=statistics)

    def encode_training(
        self,
        params: ParamDict,
        modality: str,
        inputs: Any,
        statistics: ParamDict,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, ParamDict]:
        """Features as `encode`, of a batch that is trained on.

        A function of its arguments: MASAM's two points see the same batch, dropout masks and
        running statistics, and only what the clean one returns is kept.

        Args:
          params: the parameters.
          modality: whose encoder.
          inputs: its inputs ``[B, …]``.
          statistics: running statistics ``{m: …}`` before the batch.
          key: PRNG key of the step, for dropout; each modality draws from its own part of it.

        Returns:
          Features, and the running statistics of this encoder after the batch (empty for none).

        Raises:
          ValueError: the encoder has dropout, and there is no key.
        """
        encoder = self._encoders[modality]
        if encoder.is_random and key is not None:
            key = jax.random.fold_in(typed_key(key), self._modalities.index(modality))
        return encoder.train(
            params["encoders"][modality],
            inputs,
            statistics=statistics.get(modality),
            key=key,
        )

    def fuse(self, params: ParamDict, features: Mapping[str, jax.Array]) -> jax.Array:
        """Fusion logits ``[B, C]`` of the features of all modalities."""
        return self._fusion(params["fusion"], features)

    def modality_logits(
        self, params: ParamDict, features: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """Each modality's own part ``{m: z_m [B, C]}`` of the fusion logits, from f_m alone.

        ``"concat"``: ``W_m f_m + b/M``; ``"sum"``: ``W_m f_m + b_m``; these add up to the fusion
        logits. ``"film"`` and ``"gated"``: the fusion logits where all other features are zero;
        ``"attention"``: where their tokens are left out.

        Args:
          params: as drawn by `init`; only the fusion head is read.
          features: ``{m: [B, H_m]}`` of some or all modalities; logits are of these.
        """
        return self._fusion.modality_logits(params["fusion"], features)

    def unimodal(
        self, params: ParamDict, features: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """Unimodal logits ``{m: [B, C]}``, each from its own features alone."""
        return {m: self._heads[m](params["heads"][m], features[m]) for m in self._modalities}

    def apply(
        self, params: ParamDict, inputs: Mapping[str, jax.Array]
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Inputs ``{m: [B, …]}`` to ``(fusion logits [B, C], {m: logits [B, C]})``."""
        features = {m: self.encode(params, m, inputs[m]) for m in self._modalities}
        return self.fuse(params, features), self.unimodal(params, features)

    def labels(self, params: ParamDict) -> ParamDict:
        """Partition labels: a modality's name at its encoder, ``"other"`` everywhere else.

        Same tree as ``params``; the method itself is what ``masam(network.labels)`` takes.

        Raises:
          ValueError: ``params`` is a step's number: see docs/integration.md, hyperparameters.
        """
        refuse_step_count(params)
        labels: ParamDict = jax.tree.map(lambda _: "other", params)
        for modality, encoder in params["encoders"].items():
            labels["encoders"][modality] = jax.tree.map(lambda _, m=modality: m, encoder)
        return labels

    def late_fusion(self, objective: LogitObjective | None = None) -> LateFusion:
        """The network as `LateFusion`, called with ``(params, inputs, labels)``.

        Its second pass runs the dominant encoder alone.

        Args:
          objective: ``(logits [B, C], {m: logits [B, C]}, labels) -> (fusion_loss, {m: loss})``,
            and aux third for ``multimodal_value_and_grad(..., has_aux=True)``;
            means of `sample_loss` when omitted.
        """
        objective = objective or objective_of(self.sample_loss)

        def late_objective(
            params: ParamDict,
            features: dict[str, jax.Array],
            inputs: Mapping[str, jax.Array],
            labels: jax.Array,
        ) -> Any:
            del inputs
            return objective(self.fuse(params, features), self.unimodal(params, features), labels)

        encoders = {
            m: lambda params, inputs, labels, m=m: self.encode(params, m, inputs[m])
            for m in self._modalities
        }
        return LateFusion(encoders=encoders, objective=late_objective)


def mlp_network(
    dims: Mapping[str, int],
    num_classes: int,
    width: int = 32,
    depth: int = 2,
    *,
    fusion: str = "concat",
    dtype: DTypeLike | None = None,
    param_dtype: DTypeLike = jnp.float32,
) -> LateFusionNetwork:
    """A `LateFusionNetwork` with an `MLPEncoder` for each modality.

    Args:
      dims: modality -> size of its input vectors.
      num_classes: C.
      width: units of every layer, and size of every modality's features.
      depth: layers of every encoder.
      fusion: the fusion head, as `LateFusionNetwork` takes it.
      dtype: dtype of the computation; None leaves it to inputs and parameters.
      param_dtype: dtype of the parameters.
    """
    encoders = {
        m: partial(MLPEncoder, dim, width, depth, dtype=dtype, param_dtype=param_dtype)
        for m, dim in dims.items()
    }
    return LateFusionNetwork(
        encoders,
        dict.fromkeys(dims, width),
        num_classes,
        fusion=fusion,
        dtype=dtype,
        param_dtype=param_dtype,
    )
