"""BERT's weights, by their Hugging Face names, into the parameters of a text transformer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.models.pure_module import ParamDict
from masam_jax.models.weights.safetensors_file import check_all_taken, read_safetensors, take

# What comes after the encoder, and buffers that hold no weights.
_LEFT_OVER = (r"(pooler|cls|classifier|qa_outputs)\..*", r"embeddings\.(position|token_type)_ids")

_EMBEDDINGS = {
    "tokens": "embeddings.word_embeddings.weight",
    "positions": "embeddings.position_embeddings.weight",
    "types": "embeddings.token_type_embeddings.weight",
}
_ATTENTION = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "out": "attention.output.dense",
}
_DENSE = {
    "dense_0": "intermediate.dense",
    "dense_1": "output.dense",
}
_NORMS = {
    "norm_0": "attention.output.LayerNorm",
    "norm_1": "output.LayerNorm",
}


def load_bert_weights(
    source: str | os.PathLike[str] | Mapping[str, np.ndarray], params: ParamDict
) -> ParamDict:
    """Parameters of a `TextTransformer`, with BERT's weights in them.

    Names are those of Hugging Face's ``BertModel`` (``embeddings.word_embeddings.weight``,
    ``encoder.layer.0.attention.self.query.weight``, …), with or without the prefix ``bert.`` of the
    models with a task head; layer normalisations may call their weight and bias ``gamma`` and
    ``beta``, as the first published files do. Pooler and task heads are left out.

    Args:
      source: a ``.safetensors`` file, or tensors by name.
      params: the text transformer's parameters as a plain nested dict; shapes and dtypes alone are
        read, so that ``jax.eval_shape`` of them will do.

    Returns:
      A tree like ``params``.

    Raises:
      ValueError: the file is missing or damaged; a tensor is missing or has another shape than the
        network needs, such as another vocabulary, length or width; there is a tensor that the
        network has no place for, such as a further layer's; or the parameters are not those of a
        text transformer.
    """
    if set(params) != {*_EMBEDDINGS, "norm", "stack"}:
        raise ValueError(
            f"the parameters hold {', '.join(sorted(params))}; those of one TextTransformer are"
            f" needed, {', '.join(_EMBEDDINGS)}, norm and stack."
        )
    read = source if isinstance(source, Mapping) else read_safetensors(source)
    tensors = _Tensors({_common_name(name): tensor for name, tensor in read.items()})
    loaded: ParamDict = {
        name: tensors.array(theirs, params[name]) for name, theirs in _EMBEDDINGS.items()
    }
    loaded["norm"] = tensors.norm("embeddings.LayerNorm", params["norm"])
    loaded["stack"] = {
        block: _block(tensors, f"encoder.layer.{block.removeprefix('block_')}.", block_params)
        for block, block_params in params["stack"].items()
    }
    check_all_taken(tensors.by_name, tensors.taken, _LEFT_OVER)
    return loaded


def _block(tensors: _Tensors, prefix: str, params: ParamDict) -> ParamDict:
    attention = {
        ours: tensors.dense(prefix + theirs, params["attention"][ours])
        for ours, theirs in _ATTENTION.items()
    }
    return (
        {"attention": attention}
        | {ours: tensors.dense(prefix + theirs, params[ours]) for ours, theirs in _DENSE.items()}
        | {ours: tensors.norm(prefix + theirs, params[ours]) for ours, theirs in _NORMS.items()}
    )


class _Tensors:
    """Tensors by name, and which of them were taken."""

    def __init__(self, by_name: Mapping[str, np.ndarray]):
        self.by_name = by_name
        self.taken: set[str] = set()

    def array(self, name: str, like: Any) -> jax.Array:
        """The tensor, of the shape and dtype of a parameter."""
        return jnp.asarray(self._take(name, like.shape), like.dtype)

    def norm(self, name: str, params: ParamDict) -> ParamDict:
        """A layer normalisation."""
        return {
            "scale": self.array(f"{name}.weight", params["scale"]),
            "bias": self.array(f"{name}.bias", params["bias"]),
        }

    def dense(self, name: str, params: ParamDict) -> ParamDict:
        """A dense layer; torch's weights have outputs first."""
        inputs, outputs = params["kernel"].shape
        weight = self._take(f"{name}.weight", (outputs, inputs))
        return {
            "kernel": jnp.asarray(weight.T, params["kernel"].dtype),
            "bias": self.array(f"{name}.bias", params["bias"]),
        }

    def _take(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        tensor = take(self.by_name, name, shape)
        self.taken.add(name)
        return tensor


def _common_name(name: str) -> str:
    name = name.removeprefix("bert.")
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith(f"LayerNorm{old}"):
            name = name.removesuffix(old) + new
    return name
