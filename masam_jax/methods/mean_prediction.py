"""What all modalities' own heads say together, in the place of the fusion head."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import optax

from masam_jax.core.late_fusion import Features
from masam_jax.methods.objective import Logits, Network, Objective, Outcome, Present


def mean_of_heads(network: Network, unimodal: Mapping[str, jax.Array]) -> jax.Array:
    """The mean of the modalities' log-probabilities ``[B, C]``, of numbers that of the estimates.

    Args:
      network: whose heads they are.
      unimodal: each modality's logits ``{m: [B, C]}``.
    """
    # Of one label, the geometric mean of both probabilities has the mean of the logits.
    as_they_are = network.multi_label or network.is_regression
    scale = (lambda z: z) if as_they_are else jax.nn.log_softmax
    each = [scale(z) for z in unimodal.values()]
    return sum(each[1:], each[0]) / len(each)


@dataclasses.dataclass(frozen=True)
class MeanOfHeadsObjective(Objective):
    """The usual losses, so that training is late fusion's; the fusion head does not predict."""

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
        """As `Objective.losses`; the logits are those that predict."""
        outcome = super().losses(
            network, params, features, labels, state, present=present, weights=weights
        )
        return outcome._replace(logits=mean_of_heads(network, network.unimodal(params, features)))

    def predict(
        self, network: Network, params: optax.Params, features: Features, state: Any
    ) -> Logits:
        """The mean of all heads; and each of them."""
        del state
        unimodal = network.unimodal(params, features)
        return mean_of_heads(network, unimodal), unimodal
