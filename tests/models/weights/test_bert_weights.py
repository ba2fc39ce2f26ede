"""Imported weights answer as Hugging Face's BERT does (recorded); nothing is taken on trust."""

from functools import partial
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from masam_jax.models import TextTransformer
from masam_jax.models.weights import load_bert_weights
from tests.models.torch_outputs.numpy_bert import CONFIG, bert_weights, texts
from tests.models.transformer_reference import run

RECORDED = Path(__file__).parents[1] / "torch_outputs" / "bert.npz"
WIDTH = CONFIG["hidden_size"]


def _abstract(**options):
    """Graph, parameters and random streams of a text transformer that has no values."""
    factory = partial(
        TextTransformer,
        CONFIG["vocab_size"],
        WIDTH,
        **{
            "depth": CONFIG["num_hidden_layers"],
            "heads": CONFIG["num_attention_heads"],
            "max_length": CONFIG["max_position_embeddings"],
            "feed_forward": CONFIG["intermediate_size"],
            "dropout": 0.0,
        }
        | options,
    )
    module = nnx.eval_shape(lambda: factory(rngs=nnx.Rngs(jax.random.key(0))))
    graph, params, rest = nnx.split(module, nnx.Param, ...)
    return graph, nnx.to_pure_dict(params), rest


def _text(mask):
    tokens, real = texts()
    return {
        "tokens": jnp.asarray(tokens),
        "mask": jnp.asarray(real if mask == "masked" else np.ones_like(real)),
    }


@pytest.mark.parametrize("mask", ["masked", "whole"])
def test_features_of_a_file_are_those_of_hugging_face(mask, tmp_path):
    save_file(bert_weights(), tmp_path / "bert.safetensors")
    graph, params, _ = _abstract()
    encoder = nnx.merge(graph, load_bert_weights(tmp_path / "bert.safetensors", params))
    with np.load(RECORDED) as recorded:
        expected = recorded[mask]
    # Without the mask the texts with padding answer otherwise.
    assert (np.abs(expected - run(encoder, _text("whole"))).max() > 0.1) == (mask == "masked")
    np.testing.assert_allclose(run(encoder, _text(mask)), expected, rtol=1e-5, atol=1e-5)


def test_dropout_takes_no_weights_and_is_off_in_evaluation():
    graph, params, streams = _abstract(dropout=0.3)
    loaded = load_bert_weights(bert_weights(), params)
    streams = jax.tree.map(
        lambda x: (
            jax.random.key(3) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else jnp.uint32(0)
        ),
        streams,
    )
    encoder = nnx.merge(graph, loaded, streams)
    encoder.eval()
    with np.load(RECORDED) as recorded:
        np.testing.assert_allclose(
            run(encoder, _text("masked")), recorded["masked"], rtol=1e-4, atol=1e-5
        )


def test_every_value_is_replaced_and_keeps_shape_and_dtype():
    _, params, _ = _abstract(param_dtype=jnp.bfloat16)
    loaded = load_bert_weights(bert_weights(), params)
    shapes = jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), (params, loaded))
    assert shapes[0] == shapes[1]
    # The pooler is left out, and nothing else.
    taken = [name for name in bert_weights() if "pooler" not in name]
    assert len(jax.tree.leaves(loaded)) == len(taken)
    _, params, _ = _abstract()
    loaded = load_bert_weights(bert_weights(), params)
    np.testing.assert_array_equal(
        loaded["stack"]["block_2"]["attention"]["out"]["kernel"],
        bert_weights()["encoder.layer.2.attention.output.dense.weight"].T,
    )
    np.testing.assert_array_equal(
        loaded["types"], bert_weights()["embeddings.token_type_embeddings.weight"]
    )


def test_names_with_a_prefix_and_the_first_published_names_are_the_same():
    _, params, _ = _abstract()
    expected = load_bert_weights(bert_weights(), params)

    def old(name):
        if "LayerNorm" in name:
            name = name.replace(".weight", ".gamma").replace(".bias", ".beta")
        return f"bert.{name}"

    renamed = {old(name): tensor for name, tensor in bert_weights().items()}
    heads = {
        "cls.predictions.bias": np.ones(3),
        "classifier.weight": np.ones((2, WIDTH)),
        "bert.embeddings.position_ids": np.arange(12)[None],
    }
    chex.assert_trees_all_equal(load_bert_weights(renamed | heads, params), expected)


LAYER = "encoder.layer.1"


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {f"{LAYER}.output.dense.bias": None},
            rf"'{LAYER}.output.dense.bias' is missing.*nearest.*encoder.layer.[02].output",
        ),
        ({"embeddings.LayerNorm.weight": None}, "'embeddings.LayerNorm.weight' is missing"),
        (
            {f"{LAYER}.attention.self.key.weight": np.zeros((WIDTH, 4), np.float32)},
            rf"'{LAYER}.attention.self.key.weight' has shape \(24, 4\); .* needs \(24, 24\)",
        ),
        (
            {"embeddings.word_embeddings.weight": np.zeros((41, WIDTH), np.float32)},
            r"'embeddings.word_embeddings.weight' has shape \(41, 24\); .* needs \(40, 24\)",
        ),
        (
            {"encoder.layer.3.output.dense.bias": np.zeros(WIDTH, np.float32)},
            "no place for: encoder.layer.3.output.dense.bias",
        ),
        ({"embeddings.extra.weight": np.zeros(1)}, "no place for: embeddings.extra.weight"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_name(change, message):
    weights = {
        name: tensor for name, tensor in (bert_weights() | change).items() if tensor is not None
    }
    _, params, _ = _abstract()
    with pytest.raises(ValueError, match=message):
        load_bert_weights(weights, params)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"depth": 4}, "'encoder.layer.3.attention.self.query.weight' is missing"),
        ({"depth": 2}, "no place for: encoder.layer.2"),
        ({"feed_forward": 48}, r"intermediate.dense.weight' has shape \(56, 24\); .*\(48, 24\)"),
        ({"max_length": 11}, r"position_embeddings.weight' has shape \(12, 24\); .*\(11, 24\)"),
    ],
)
def test_networks_of_another_size_are_refused(options, message):
    _, params, _ = _abstract(**options)
    with pytest.raises(ValueError, match=message):
        load_bert_weights(bert_weights(), params)


def test_a_damaged_or_missing_file_is_named(tmp_path):
    _, params, _ = _abstract()
    path = tmp_path / "bert.safetensors"
    with pytest.raises(ValueError, match=r"bert\.safetensors is missing"):
        load_bert_weights(path, params)
    save_file(bert_weights(), path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"bert\.safetensors cannot be read"):
        load_bert_weights(path, params)


def test_parameters_of_something_else_are_refused():
    _, params, _ = _abstract()
    with pytest.raises(ValueError, match="the parameters hold encoders; those of one TextTransf"):
        load_bert_weights(bert_weights(), {"encoders": params})
