"""Flax encoders and late-fusion networks whose parameters are plain nested dicts."""

from masam_jax.core.extras import needs

with needs("masam_jax.models", "train"):
    from masam_jax.models.attention import SelfAttention
    from masam_jax.models.attention_fusion import AttentionFusion
    from masam_jax.models.contributions import blank_features, masked_logits, modal_responses
    from masam_jax.models.conv_encoder import ConvEncoder
    from masam_jax.models.conv_transformer import ConvTransformer
    from masam_jax.models.convolution import conv
    from masam_jax.models.early_fusion import EarlyFusionNetwork
    from masam_jax.models.ffn import FeedForwardEncoder
    from masam_jax.models.film_fusion import FiLMFusion
    from masam_jax.models.fusion import FUSIONS, ConcatFusion, UnimodalHead
    from masam_jax.models.gated_fusion import GatedFusion
    from masam_jax.models.method_signals import SIGNALS, batch_signals
    from masam_jax.models.mlp import MLPEncoder
    from masam_jax.models.network import (
        LateFusionNetwork,
        mlp_network,
    )
    from masam_jax.models.normalization import LayerNorm
    from masam_jax.models.objectives import cross_entropy_objective
    from masam_jax.models.pure_functions import PureEncoder, PureFusion
    from masam_jax.models.resnet import ResNet
    from masam_jax.models.sequence_transformer import SequenceTransformer
    from masam_jax.models.sum_fusion import SumFusion
    from masam_jax.models.text_transformer import TextTransformer
    from masam_jax.models.token_fusion import TokenFusion
    from masam_jax.models.tokenizers import PatchTokenizer, SequenceTokenizer
    from masam_jax.models.transformer import TransformerBlock, TransformerStack
    from masam_jax.models.video_resnet import VideoResNet
    from masam_jax.models.vision_transformer import VisionTransformer

__all__ = [
    "FUSIONS",
    "SIGNALS",
    "AttentionFusion",
    "ConcatFusion",
    "ConvEncoder",
    "ConvTransformer",
    "EarlyFusionNetwork",
    "FeedForwardEncoder",
    "FiLMFusion",
    "GatedFusion",
    "LateFusionNetwork",
    "LayerNorm",
    "MLPEncoder",
    "PatchTokenizer",
    "PureEncoder",
    "PureFusion",
    "ResNet",
    "SelfAttention",
    "SequenceTokenizer",
    "SequenceTransformer",
    "SumFusion",
    "TextTransformer",
    "TokenFusion",
    "TransformerBlock",
    "TransformerStack",
    "UnimodalHead",
    "VideoResNet",
    "VisionTransformer",
    "batch_signals",
    "blank_features",
    "conv",
    "cross_entropy_objective",
    "masked_logits",
    "mlp_network",
    "modal_responses",
]
