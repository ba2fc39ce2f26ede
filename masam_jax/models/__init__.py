"""Flax encoders and late-fusion networks whose parameters are plain nested dicts."""

from masam_jax.models.batch_signals import SIGNALS, batch_signals
from masam_jax.models.contributions import blank_features, masked_logits, modal_responses
from masam_jax.models.conv import ConvEncoder
from masam_jax.models.film_fusion import FiLMFusion
from masam_jax.models.fusion import FUSIONS, ConcatFusion, UnimodalHead
from masam_jax.models.gated_fusion import GatedFusion
from masam_jax.models.mlp import MLPEncoder
from masam_jax.models.network import (
    LateFusionNetwork,
    conv_network,
    mlp_network,
)
from masam_jax.models.objectives import cross_entropy_objective, cross_entropy_with_logits
from masam_jax.models.sum_fusion import SumFusion

__all__ = [
    "FUSIONS",
    "SIGNALS",
    "ConcatFusion",
    "ConvEncoder",
    "FiLMFusion",
    "GatedFusion",
    "LateFusionNetwork",
    "MLPEncoder",
    "SumFusion",
    "UnimodalHead",
    "batch_signals",
    "blank_features",
    "conv_network",
    "cross_entropy_objective",
    "cross_entropy_with_logits",
    "masked_logits",
    "mlp_network",
    "modal_responses",
]
