"""The second part of a method: what it minimises, and how its network predicts."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Protocol

import chex
import jax
import optax

from masam_jax.core.late_fusion import Features
from masam_jax.core.losses import SampleLoss, WeightedMean, masked_loss, mean_loss

Logits = tuple[jax.Array, dict[str, jax.Array]]
Present = Mapping[str, jax.Array] | None


class Network(Protocol):
    """What an objective needs of a late-fusion network: pure functions of its parameters."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, sorted."""

    @property
    def num_classes(self) -> int:
        """The number of classes C, or of labels K."""

    @property
    def multi_label(self) -> bool:
        """Whether logits are of K labels, each zero or one, rather than of C classes."""

    @property
    def is_regression(self) -> bool:
        """Whether what stands for logits are estimates of K numbers, rather than of C classes."""

    @property
    def sample_loss(self) -> SampleLoss:
        """Each sample's loss ``[B]`` of logits and labels: cross-entropy, or targets' error."""

    @property
    def feature_sizes(self) -> dict[str, int]:
        """The size H_m of each modality's features."""

    def fuse(self, params: optax.Params, features: Features) -> jax.Array:
        """Fusion logits ``[B, C]`` of the features of all modalities."""

    def modality_logits(self, params: optax.Params, features: Features) -> dict[str, jax.Array]:
        """Each modality's own part ``{m: [B, C]}`` of the fusion logits."""

    def unimodal(self, params: optax.Params, features: Features) -> dict[str, jax.Array]:
        """Unimodal logits ``{m: [B, C]}``, each from its own features alone."""


class Outcome(NamedTuple):
    """The losses of a batch, and what came out beside them.

    Attributes:
      fusion: the loss whose gradient is the fusion gradient, a scalar or a `WeightedMean`.
      unimodal: the loss of each modality, scalars; where samples may lack a modality, a
        `WeightedMean` with the number of those that have it.
      logits: ``[B, C]``, by which the batch's accuracy is measured.
      observed: arrays for `Objective.advance`; not differentiated.
    """

    fusion: jax.Array | WeightedMean
    unimodal: Mapping[str, jax.Array | WeightedMean]
    logits: jax.Array
    observed: Any = ()


@dataclasses.dataclass(frozen=True)
class Objective:
    """The usual objective: the network's loss of the fusion logits, and of every modality's own.

    A method with another objective overrides what differs. All methods are pure functions of
    arrays, run under ``jit`` and ``vmap`` over seeds. Instances are hashable and compare by value.

    Attributes:
      takes_missing: whether samples may lack a modality.
      takes_tokens: whether features may be tokens, as of an early-fusion network, and not vectors.
    """

    takes_missing: ClassVar[bool] = True
    takes_tokens: ClassVar[bool] = True

    def init_params(self, network: Network, key: chex.PRNGKey) -> dict[str, Any]:
        """Further trainable parameters; the network's own have them as ``params["method"]``.

        Their label is ``"other"``. Empty by default.
        """
        del network, key
        return {}

    def init_state(self, network: Network, params: optax.Params) -> Any:
        """Arrays that the objective keeps between steps and does not train; none by default."""
        del network, params
        return ()

    def losses(
        self,
        network: Network,
        params: optax.Params,
        features: Features,
        labels: jax.Array,
        state: Any,
        *,
        present: Present = None,
        weights: jax.Array | None = None,
    ) -> Outcome:
        """The losses of a batch.

        Args:
          network: the network.
          params: its parameters.
          features: ``{m: [B, H_m]}``; of one modality alone in a phase of that modality.
          labels: integer classes ``[B]``, or zeros and ones, or targets ``[B, K]``.
          state: what `init_state` began and `advance` went on with.
          present: ``{m: bool [B]}``, the samples that have the modality: its unimodal loss is the
            mean over these; None where no sample lacks any.
          weights: of the samples, real ``[B]``: losses are weighted means; None for equal ones.
        """
        del state
        logits = network.fuse(params, features)
        unimodal = network.unimodal(params, features)
        return Outcome(
            fusion=mean_loss(network.sample_loss, logits, labels, weights=weights),
            unimodal=unimodal_losses(network, unimodal, labels, present, weights),
            logits=logits,
        )

    def advance(self, state: Any, observed: Any) -> Any:
        """The state after an update of the parameters.

        Args:
          state: the state before it.
          observed: the `Outcome.observed` of the batch; ``{m: observed}`` after phases.
        """
        del observed
        return state

    def signals(self, state: Any) -> dict[str, Any]:
        """What of the state the transformation is handed, ``tx.update(…, **signals)``; nothing.

        Args:
          state: as it was before the step.
        """
        del state
        return {}

    def predict(
        self, network: Network, params: optax.Params, features: Features, state: Any
    ) -> Logits:
        """``(logits [B, C], {m: logits [B, C]})``: the prediction, and each modality's alone."""
        del state
        return network.fuse(params, features), network.unimodal(params, features)

    @property
    def predictor(self) -> Any:
        """Hashable; objectives of one network with equal ones predict by the same program."""
        return None if type(self).predict is Objective.predict else self


def unimodal_losses(
    network: Network,
    logits: Mapping[str, jax.Array],
    labels: jax.Array,
    present: Present = None,
    weights: jax.Array | None = None,
) -> dict[str, jax.Array | WeightedMean]:
    """The network's loss of each modality's logits ``{m: [B, C]}``, over samples that have it.

    Args:
      network: the network.
      logits: the logits.
      labels: as `Objective.losses` takes them, and so the rest.
      present: likewise.
      weights: likewise.
    """
    loss = network.sample_loss
    if present is None:
        return {m: mean_loss(loss, z, labels, weights=weights) for m, z in logits.items()}
    return {m: masked_loss(loss, z, labels, present[m], weights) for m, z in logits.items()}


def require_one_class(network: Network, name: str) -> None:
    """Raises ``ValueError`` where samples do not have one class, as the method needs them to."""
    if network.is_regression:
        raise ValueError(f"{name} {NEEDS_CLASSES}")
    if network.multi_label:
        raise ValueError(
            f"{name} needs one class for each sample; these data have {network.num_classes}"
            " labels, each zero or one"
        )


NEEDS_CLASSES = "needs class probabilities; these data are for regression"
"""Why a method refuses them, after its name."""

LATE_FUSION_OBJECTIVE = Objective()
"""The network's loss of the fusion logits, and of every modality's own."""
