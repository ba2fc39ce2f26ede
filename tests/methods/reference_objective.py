"""An objective of the zoo on the network of ``reference_network``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from masam_jax import LateFusion, multimodal_value_and_grad
from masam_jax.core.losses import sample_cross_entropy
from masam_jax.methods import Objective
from tests.core.networks import encode

CLASSES, SIZE = 3, 4


class ReferenceNetwork:
    """What comes after its encoders, as an objective sees it."""

    num_classes = CLASSES
    multi_label = False
    is_regression = False
    sample_loss = staticmethod(sample_cross_entropy)

    def __init__(self, *modalities: str) -> None:
        self.modalities = tuple(sorted(modalities))
        self.feature_sizes = dict.fromkeys(self.modalities, SIZE)

    def fuse(self, params: Any, features: Mapping[str, jax.Array]) -> jax.Array:
        joint = jnp.concatenate([features[m] for m in self.modalities], axis=1)
        return joint @ params["fusion"]["w"] + params["fusion"]["b"][None]

    def unimodal(self, params: Any, features: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        return {m: features[m] @ h["w"] + h["b"][None] for m, h in params["heads"].items()}


def value_and_grad(
    objective: Objective, network: ReferenceNetwork, weight: float
) -> Callable[..., Any]:
    """``(params, inputs, labels, state) -> (losses, grads, signals)``; aux is what it observed."""

    def losses(params: Any, features: Any, inputs: Any, labels: Any, state: Any) -> Any:
        outcome = objective.losses(network, params, features, labels, state)
        return outcome.fusion, outcome.unimodal, outcome.observed

    encoders = {
        m: lambda params, inputs, labels, state, m=m: encode(params, m, inputs)
        for m in network.modalities
    }
    late_fusion = LateFusion(encoders=encoders, objective=losses)
    return multimodal_value_and_grad(late_fusion, loss_weights=weight, has_aux=True)
