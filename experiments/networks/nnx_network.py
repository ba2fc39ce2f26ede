"""A network of Flax NNX modules, with batch normalization and dropout.

masam compare --network experiments.networks.nnx_network:make_network
"""

from collections.abc import Mapping
from functools import partial

import jax
from flax import nnx

from masam_jax.data import Modality
from masam_jax.models import LateFusionNetwork

WIDTH = 24


class Encoder(nnx.Module):
    """Vectors ``[B, D]`` to features ``[B, 24]``."""

    def __init__(self, size: int, *, rngs: nnx.Rngs):
        self.first = nnx.Linear(size, WIDTH, rngs=rngs)
        self.norm = nnx.BatchNorm(WIDTH, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)
        self.second = nnx.Linear(WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """The forward pass."""
        return self.second(self.dropout(jax.nn.gelu(self.norm(self.first(x)))))


def make_network(
    specs: Mapping[str, Modality], num_classes: int, fusion: str = "concat"
) -> LateFusionNetwork:
    """An encoder for each modality; any fusion head, so that methods may bring theirs."""
    encoders = {m: partial(Encoder, spec.shape[0]) for m, spec in specs.items()}
    return LateFusionNetwork(encoders, dict.fromkeys(specs, WIDTH), num_classes, fusion=fusion)
