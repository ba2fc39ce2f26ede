"""Flax encoders and late-fusion networks whose parameters are plain nested dicts."""

from masam_jax.models.conv import ConvEncoder
from masam_jax.models.fusion import ConcatFusion, UnimodalHead
from masam_jax.models.mlp import MLPEncoder
from masam_jax.models.network import (
    LateFusionNetwork,
    conv_network,
    mlp_network,
)
from masam_jax.models.objectives import cross_entropy_objective, cross_entropy_with_logits

__all__ = [
    "ConcatFusion",
    "ConvEncoder",
    "LateFusionNetwork",
    "MLPEncoder",
    "UnimodalHead",
    "conv_network",
    "cross_entropy_objective",
    "cross_entropy_with_logits",
    "mlp_network",
]
