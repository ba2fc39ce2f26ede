"""A small BERT's weights under Hugging Face's names, and texts for it, made by NumPy alone.

The names and shapes are written from transformers' `BertModel` (`state_dict()`), and
`record_bert.py` loads them there strictly.
"""

import numpy as np

from tests.models.torch_outputs.numpy_weights import uniform

CONFIG = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 56,
    "max_position_embeddings": 12,
    "type_vocab_size": 2,
}
LENGTHS = (9, 4, 1, 7)


def bert_weights(config=CONFIG):
    """Tensors by name: embeddings and kernels of a visible size, norms that are no identity."""
    width, hidden = config["hidden_size"], config["intermediate_size"]
    tensors = {}

    def dense(name, outputs, inputs):
        limit = np.sqrt(3.0 / inputs)
        tensors[f"{name}.weight"] = uniform(f"{name}.weight", (outputs, inputs), -limit, limit)
        tensors[f"{name}.bias"] = uniform(f"{name}.bias", (outputs,), -0.3, 0.3)

    def norm(name):
        tensors[f"{name}.weight"] = uniform(f"{name}.weight", (width,), 0.5, 1.5)
        tensors[f"{name}.bias"] = uniform(f"{name}.bias", (width,), -0.3, 0.3)

    for kind, count in (
        ("word", config["vocab_size"]),
        ("position", config["max_position_embeddings"]),
        ("token_type", config["type_vocab_size"]),
    ):
        name = f"embeddings.{kind}_embeddings.weight"
        tensors[name] = uniform(name, (count, width), -1.0, 1.0)
    norm("embeddings.LayerNorm")
    for index in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{index}"
        for part in ("query", "key", "value"):
            dense(f"{layer}.attention.self.{part}", width, width)
        dense(f"{layer}.attention.output.dense", width, width)
        norm(f"{layer}.attention.output.LayerNorm")
        dense(f"{layer}.intermediate.dense", hidden, width)
        dense(f"{layer}.output.dense", width, hidden)
        norm(f"{layer}.output.LayerNorm")
    dense("pooler.dense", width, width)
    return tensors


def texts():
    """Token ids ``[B, L]``, padding among them other than 0, and which are real."""
    length = max(LENGTHS)
    draws = uniform("texts", (len(LENGTHS), length), 0.0, CONFIG["vocab_size"])
    return draws.astype(np.int32), np.arange(length) < np.asarray(LENGTHS)[:, None]
