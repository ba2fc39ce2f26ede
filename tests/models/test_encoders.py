"""Encoders and tokenizers by name, for each kind of samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.data.modality import KINDS, Modality
from masam_jax.models import EarlyFusionNetwork, LateFusionNetwork
from masam_jax.models.encoders import (
    DEFAULT_ENCODERS,
    ENCODERS,
    EncoderSize,
    SampleShape,
    make_encoder,
    make_tokenizer,
)

SIZE = EncoderSize(width=8, depth=2, dropout=0.1)
BATCH = 2
MODALITIES = {
    "vector": Modality("vector", (5,)),
    "image": Modality("image", (32, 32, 3)),
    "spectrogram": Modality("spectrogram", (20, 30, 1)),
    "frames": Modality("frames", (2, 32, 32, 3)),
    "sequence": Modality("sequence", (6, 4)),
    "tokens": Modality("tokens", (7,), np.int32, vocabulary_size=11),
}
SAMPLES = {kind: SampleShape(m.kind, m.shape, m.vocabulary_size) for kind, m in MODALITIES.items()}


def _inputs(kind):
    """A batch as the network gets it: floats, but for tokens."""

    def batch(array):
        dtype = array.dtype if array.dtype in (np.bool_, np.int32) else jnp.float32
        return jax.ShapeDtypeStruct((BATCH, *array.shape), dtype)

    return jax.tree.map(batch, MODALITIES[kind].template)


def _shapes(encoders):
    """Features, and both kinds of logits, of the encoders under a network; nothing is computed."""
    made = {kind: make_encoder(kind, SAMPLES[kind], SIZE, spec) for kind, spec in encoders.items()}
    network = LateFusionNetwork(
        {kind: factory for kind, (factory, _) in made.items()},
        {kind: width for kind, (_, width) in made.items()},
        3,
    )
    params = jax.eval_shape(network.init, jax.random.key(0))
    statistics = jax.eval_shape(network.init_statistics)

    def run(params, inputs, statistics, key):
        features = {
            m: network.encode_training(params, m, inputs[m], statistics, key)
            for m in network.modalities
        }
        bound = network.with_statistics(statistics)
        return features, bound.apply(params, inputs)

    inputs = {kind: _inputs(kind) for kind in encoders}
    features, (logits, unimodal) = jax.eval_shape(
        run, params, inputs, statistics, jax.random.key(0)
    )
    assert logits.shape == (BATCH, 3)
    assert {z.shape for z in unimodal.values()} == {(BATCH, 3)}
    for kind, (values, after) in features.items():
        assert values.shape == (BATCH, made[kind][1])
        before = statistics.get(kind, {})
        assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, before)
    return {kind: values.shape[1] for kind, (values, _) in features.items()}


def test_every_kind_has_encoders():
    assert set(DEFAULT_ENCODERS) == set(KINDS) == set(MODALITIES)
    for kind, name in DEFAULT_ENCODERS.items():
        assert kind in ENCODERS[name]
    assert {kind for kinds in ENCODERS.values() for kind in kinds} == set(KINDS)


def test_the_encoder_of_each_kind():
    small = {"frames": "resnet18:channels=4,small_stem=true"}
    assert _shapes({kind: small.get(kind) for kind in KINDS}) == dict.fromkeys(KINDS, 8)


@pytest.mark.parametrize(
    "name, kind",
    [(name, kinds[0]) for name, kinds in ENCODERS.items() if name not in ("resnet34", "resnet50")]
    + [("resnet18", "spectrogram"), ("resnet18", "frames"), ("conv", "spectrogram")],
)
def test_every_encoder_by_its_name(name, kind):
    options = ":channels=4" if name.startswith("resnet") else ""
    assert _shapes({kind: name + options}) == {kind: 8}


@pytest.mark.parametrize(
    "spec, kind, size",
    [
        ("resnet18:channels=4,project=false", "image", 32),
        ("resnet50:channels=2,project=false,norm=group", "image", 64),
        ("resnet18:channels=4,project=false,small_stem=true", "frames", 32),
        ("ffn:hidden=3,batch_norm=false", "vector", 8),
        ("transformer:heads=2,pool=cls", "sequence", 8),
        ("conv_transformer:heads=2,pool=last", "sequence", 8),
        ("text_transformer:max_length=9", "tokens", 8),
        ("vision_transformer:heads=2,patch=2", "image", 8),
        ("vision_transformer", "spectrogram", 8),
    ],
)
def test_options_and_the_size_of_features(spec, kind, size):
    assert _shapes({kind: spec}) == {kind: size}


def test_options_and_sizes_reach_the_parameters():
    factory, _ = make_encoder("m", SAMPLES["vector"], EncoderSize(8, 3), "ffn:hidden=7")
    network = LateFusionNetwork({"m": factory}, {"m": 8}, 3)
    encoder = jax.eval_shape(network.init, jax.random.key(0))["encoders"]["m"]
    kernels = {n: part["kernel"].shape for n, part in encoder.items() if "kernel" in part}
    assert kernels == {"dense_0": (5, 7), "dense_1": (7, 7), "dense": (7, 8)}
    assert not network.is_random
    factory, _ = make_encoder("m", SAMPLES["vector"], EncoderSize(8, 3, dropout=0.5), "ffn")
    assert LateFusionNetwork({"m": factory}, {"m": 8}, 3).is_random
    factory, _ = make_encoder("m", SAMPLES["tokens"], SIZE, "text_transformer:max_length=9")
    network = LateFusionNetwork({"m": factory}, {"m": 8}, 3)
    shapes = {
        leaf.shape for leaf in jax.tree.leaves(jax.eval_shape(network.init, jax.random.key(0)))
    }
    # Words, and positions.
    assert {(11, 8), (9, 8)} <= shapes


def test_the_dtype_is_that_of_the_computation():
    size = EncoderSize(width=8, dtype=jnp.bfloat16)
    factory, _ = make_encoder("m", SAMPLES["vector"], size)
    network = LateFusionNetwork({"m": factory}, {"m": 8}, 3)
    params = jax.eval_shape(network.init, jax.random.key(0))
    features = jax.eval_shape(lambda p, x: network.encode(p, "m", x), params, _inputs("vector"))
    assert features.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize(
    "kind, spec, message",
    [
        ("image", "resnet19", "modality 'm': unknown encoder 'resnet19'; did you mean 'resnet18'"),
        ("vector", "conv", "'m' is of kind 'vector', which the encoder 'conv' .*; mlp, ffn do"),
        ("tokens", "transformer", "encoder 'transformer' does not take; text_transformer do"),
        ("frames", "conv", "which the encoder 'conv' .*; resnet18, resnet34, resnet50 do"),
        ("image", "resnet18:depth=3", "depth"),
        ("image", "resnet18:norm=layer", "layer"),
        ("vector", "mlp:width=3", "width"),
        ("vector", "ffn:hidden=none,hidden=3", "hidden"),
    ],
)
def test_mistakes_are_named(kind, spec, message):
    with pytest.raises(ValueError, match=message):
        make_encoder("m", SAMPLES[kind], SIZE, spec)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_of_another_rank_are_refused(kind):
    shape = (*SAMPLES[kind].shape, 3)
    with pytest.raises(ValueError, match=rf"'m' has samples of shape .* 3\); of kind '{kind}'"):
        make_encoder("m", SampleShape(kind, shape), SIZE)


@pytest.mark.parametrize(
    "spec, message",
    [
        ("transformer:heads=3", "heads"),
        ("transformer:pool=last", "last"),
        ("conv_transformer:pool=cls", "cls"),
    ],
)
def test_sizes_that_do_not_fit_are_told_before_anything_is_computed(spec, message):
    factory, width = make_encoder("m", SAMPLES["sequence"], SIZE, spec)
    with pytest.raises(ValueError, match=message):
        LateFusionNetwork({"m": factory}, {"m": width}, 3)


@pytest.mark.parametrize(
    "kind, spec, message",
    [
        ("image", "vision_transformer:patch=0", "patch must be an integer >= 1, got 0"),
        ("vector", "ffn:hidden=0", "hidden is .0,.; positive"),
        ("tokens", "text_transformer:max_length=0", "max_length must be an integer >= 1, got 0"),
    ],
)
def test_zero_is_not_left_to_the_default(kind, spec, message):
    factory, _ = make_encoder("m", SAMPLES[kind], EncoderSize(width=8, depth=2), spec)
    with pytest.raises(ValueError, match=message):
        factory(rngs=nnx.Rngs(0))


def test_tokens_longer_than_the_positions_are_refused():
    with pytest.raises(ValueError, match="7"):
        _shapes({"tokens": "text_transformer:max_length=5"})


def test_tokenizers_under_one_transformer():
    kinds = ("vector", "image", "spectrogram", "sequence")
    network = EarlyFusionNetwork(
        {kind: make_tokenizer(kind, SAMPLES[kind], 8) for kind in kinds}, 3, width=8, depth=1
    )
    params = jax.eval_shape(network.init, jax.random.key(0))
    inputs = {kind: _inputs(kind) for kind in kinds}
    logits, unimodal = jax.eval_shape(network.apply, params, inputs)
    assert logits.shape == unimodal["image"].shape == (BATCH, 3)
    counts = {
        kind: jax.eval_shape(lambda p, x, m=kind: network.encode(p, m, x), params, inputs[kind])[
            "mask"
        ].shape[1]
        for kind in kinds
    }
    # Patches of 8 x 8, and of 5 x 7, whose last two columns are left out.
    assert counts == {"vector": 1, "image": 16, "spectrogram": 16, "sequence": 6}


@pytest.mark.parametrize("shape, patches", [((3, 2, 1), 6), ((64, 64, 3), 16), ((80, 64, 1), 20)])
def test_patches_are_at_most_16_wide_and_at_least_4_by_4(shape, patches):
    sample = SampleShape("image", shape)
    network = EarlyFusionNetwork({"m": make_tokenizer("m", sample, 8)}, 3, width=8, depth=1)
    params = jax.eval_shape(network.init, jax.random.key(0))
    inputs = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    tokens = jax.eval_shape(lambda p, x: network.encode(p, "m", x), params, inputs)
    assert tokens["mask"].shape == (1, patches)


@pytest.mark.parametrize("kind", ["frames", "tokens"])
def test_kinds_without_tokenizer_are_named(kind):
    with pytest.raises(ValueError, match=f"'m' is of kind {kind!r}, for which there is no token"):
        make_tokenizer("m", SAMPLES[kind], 8)
