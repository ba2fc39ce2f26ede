"""Published weights, from ``.safetensors`` files into plain nested dicts."""

from masam_jax.models.weights.bert_weights import load_bert_weights
from masam_jax.models.weights.resnet_weights import load_resnet_weights
from masam_jax.models.weights.safetensors_file import check_all_taken, read_safetensors, take

__all__ = [
    "check_all_taken",
    "load_bert_weights",
    "load_resnet_weights",
    "read_safetensors",
    "take",
]
