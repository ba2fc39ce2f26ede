r"""Each modality trained alone, the usual unimodal baselines, all in one run.

$$
L = \sum_m L_m(\theta_m, \text{head}_m)
$$

No parameter is shared and no gradient crosses from one modality to another, so every encoder and
head is trained as if it were alone (a base optimizer that acts by element, such as AdamW, does not
couple them; clipping by a global norm would). The fused prediction is the mean of the modalities'
log-probabilities, or what one modality says; of numbers, the mean of the estimates.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from masam_jax.core.late_fusion import Features
from masam_jax.core.losses import WeightedMean
from masam_jax.methods.mean_prediction import mean_of_heads
from masam_jax.methods.method import Method
from masam_jax.methods.objective import (
    Logits,
    Network,
    Objective,
    Outcome,
    Present,
    unimodal_losses,
)
from masam_jax.methods.registry import register


@dataclasses.dataclass(frozen=True)
class UnimodalOptions:
    """Options of ``unimodal``.

    Attributes:
      predict: ``mean`` of all modalities' log-probabilities, or the name of the modality whose own
        prediction is reported.
    """

    predict: str = "mean"


@dataclasses.dataclass(frozen=True)
class UnimodalObjective(Objective):
    """The sum of the unimodal losses; the fusion head stays untrained."""

    by: str = "mean"

    def init_state(self, network: Network, params: optax.Params) -> Any:
        """Nothing is kept; the option is checked here.

        Raises:
          ValueError: no modality has the name.
        """
        if self.by not in ("mean", *network.modalities):
            raise ValueError(
                f"predict={self.by!r} is neither 'mean' nor one of {list(network.modalities)}"
            )
        return super().init_state(network, params)

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
        """Zero for the fusion loss, the network's own for every modality."""
        unimodal = network.unimodal(params, features)
        losses = unimodal_losses(network, unimodal, labels, present, weights)
        first = next(iter(losses.values()))
        nothing = jnp.zeros_like(first.total if isinstance(first, WeightedMean) else first)
        return Outcome(nothing, losses, self._fused(network, unimodal))

    def predict(
        self, network: Network, params: optax.Params, features: Features, state: Any
    ) -> Logits:
        """The mean of log-probabilities or estimates, or one modality's logits; and all of them."""
        unimodal = network.unimodal(params, features)
        return self._fused(network, unimodal), unimodal

    def _fused(self, network: Network, unimodal: Mapping[str, jax.Array]) -> jax.Array:
        if self.by != "mean":
            return unimodal[self.by]
        return mean_of_heads(network, unimodal)


UNIMODAL = register(
    Method(
        name="unimodal",
        summary="each modality trained alone; the prediction averages them",
        options=UnimodalOptions,
        title=lambda options: (
            "unimodal, mean" if options.predict == "mean" else f"{options.predict} alone"
        ),
        objective=lambda options, context: UnimodalObjective(options.predict),
    )
)
