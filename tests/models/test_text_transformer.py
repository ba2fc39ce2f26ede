import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import TextTransformer
from tests.models import transformer_reference as reference
from tests.models.transformer_reference import run

MASK = np.arange(5) < np.asarray([5, 3, 1])[:, None]
TOKENS = np.random.default_rng(0).integers(0, 11, size=(3, 5))


def _make(**options):
    options = {"width": 6, "depth": 2, "heads": 3, "max_length": 7, "dropout": 0.0} | options
    return TextTransformer(11, **options, rngs=nnx.Rngs(0))


def _inputs(tokens=TOKENS, mask=MASK):
    return {"tokens": jnp.asarray(tokens, jnp.int32), "mask": jnp.asarray(mask)}


def test_is_embeddings_blocks_and_the_first_token(x64):
    encoder, params = reference.randomized(_make(types=3, feed_forward=5, param_dtype=jnp.float64))
    assert params["types"].shape == (3, 6)
    assert params["stack"]["block_1"]["dense_0"]["kernel"].shape == (6, 5)
    steps = params["tokens"][TOKENS] + params["positions"][:5] + params["types"][0]
    steps = reference.norm(params["norm"], np.float64(steps), 1e-12)
    outputs = reference.stack(params["stack"], steps, MASK, heads=3, pre_norm=False, epsilon=1e-12)
    features = run(encoder, _inputs())
    assert features.shape == (3, 6)
    np.testing.assert_allclose(features, outputs[:, 0], rtol=1e-9, atol=1e-9)


def test_the_defaults_are_berts_base_model():
    encoder = nnx.eval_shape(lambda: TextTransformer(rngs=nnx.Rngs(jax.random.key(0))))
    params = nnx.to_pure_dict(nnx.state(encoder, nnx.Param))
    # BertModel's 109,482,240 without the pooler.
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == 109_482_240 - 768 * 769
    assert len(params["stack"]) == 12


@pytest.mark.parametrize("padding", [3, -1, 10_000])
def test_padding_changes_nothing(padding):
    """Neither which id it has, be it none of the vocabulary, nor how much there is of it."""
    encoder, _ = reference.randomized(_make())
    features = run(encoder, _inputs())
    filled = np.where(MASK, TOKENS, padding)
    np.testing.assert_array_equal(run(encoder, _inputs(filled)), features)
    wider = ((0, 0), (0, 2))
    longer = _inputs(np.pad(filled, wider, constant_values=padding), np.pad(MASK, wider))
    np.testing.assert_allclose(run(encoder, longer), features, rtol=1e-4, atol=1e-5)
    for name, grad in reference.gradients(encoder, _inputs(filled)).items():
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grad)), name


def test_order_of_the_tokens_matters():
    encoder, _ = reference.randomized(_make())
    whole = np.ones_like(MASK)
    backwards = np.concatenate([TOKENS[:, :1], TOKENS[:, :0:-1]], axis=1)
    difference = run(encoder, _inputs(backwards, whole)) - run(encoder, _inputs(mask=whole))
    assert jnp.abs(difference).max() > 1e-3


def test_ids_alone_are_real_throughout():
    encoder, _ = reference.randomized(_make())
    np.testing.assert_allclose(
        run(encoder, jnp.asarray(TOKENS, jnp.int32)),
        run(encoder, _inputs(mask=np.ones_like(MASK))),
        rtol=1e-4,
        atol=1e-5,
    )


def test_an_id_outside_the_vocabulary_gives_nan_to_its_own_text_alone():
    encoder, _ = reference.randomized(_make())
    wrong = TOKENS.copy()
    wrong[1, 1] = 11
    features = run(encoder, _inputs(wrong))
    assert np.isnan(features[1]).all()
    np.testing.assert_array_equal(features[::2], run(encoder, _inputs())[::2])


def test_texts_of_nothing_have_the_same_finite_features_and_gradients():
    encoder, _ = reference.randomized(_make())
    nothing = _inputs(mask=np.zeros_like(MASK))
    features = run(encoder, nothing)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features[1:], features[:2], rtol=1e-6)
    for name, grad in reference.gradients(encoder, nothing).items():
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grad)), name


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"vocabulary_size": 0}, "vocabulary_size must be an integer >= 1, got 0"),
        ({"max_length": 0}, "max_length must be an integer >= 1, got 0"),
        ({"types": 0}, "types must be an integer >= 1, got 0"),
        ({"heads": 5}, "width is 768 and heads is 5"),
        ({"feed_forward": 0}, "feed_forward must be an integer >= 1, got 0"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        TextTransformer(**arguments, rngs=nnx.Rngs(0))


@pytest.mark.parametrize(
    "inputs, message",
    [
        (jnp.zeros((2, 5)), "tokens are float32; integers are accepted"),
        (jnp.zeros((2, 8), jnp.int32), "8 steps; at most max_length=7"),
        (jnp.zeros((2, 5, 3), jnp.int32), r"tokens have shape \(2, 5, 3\); \[B, T\]"),
        ({"values": jnp.zeros((2, 5))}, r"parts \['values'\]; 'tokens' and 'mask'"),
    ],
)
def test_inputs_of_another_form_are_refused(inputs, message):
    with pytest.raises(ValueError, match=message):
        _make()(inputs)
