"""A network of Flax Linen modules: parameters are what ``module.init`` returns.

masam compare --network experiments.networks.linen_network:make_network
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from masam_jax.data import Modality
from masam_jax.models import LateFusionNetwork, PureEncoder

WIDTH = 24


class Encoder(nn.Module):
    """Vectors ``[B, D]`` to features ``[B, 24]``."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """The forward pass."""
        return nn.Dense(WIDTH)(nn.gelu(nn.LayerNorm()(nn.Dense(WIDTH)(x))))


def encoder_of(spec: Modality) -> PureEncoder:
    """The encoder of a modality, as two pure functions."""
    module, example = Encoder(), jnp.zeros((1, *spec.shape))

    def apply(params: Any, x: jax.Array) -> jax.Array:
        features: Any = module.apply({"params": params}, x)
        return features

    return PureEncoder(lambda key: module.init(key, example)["params"], apply)


def make_network(specs: Mapping[str, Modality], num_classes: int) -> LateFusionNetwork:
    """An encoder for each modality, and concatenation."""
    encoders = {m: encoder_of(spec) for m, spec in specs.items()}
    return LateFusionNetwork(encoders, dict.fromkeys(specs, WIDTH), num_classes)
