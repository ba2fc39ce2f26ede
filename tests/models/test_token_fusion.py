import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import TokenFusion
from tests.models import transformer_reference as reference
from tests.models.transformer_reference import run

LENGTHS = {"b": 3, "a": 2, "c": 4}
MASKS = {
    "b": np.asarray([[1, 1, 1], [1, 0, 0]], bool),
    "a": np.asarray([[1, 1], [0, 0]], bool),
    "c": np.asarray([[1, 1, 0, 0], [0, 1, 1, 1]], bool),
}


def _make(**options):
    return TokenFusion(list(LENGTHS), 6, 2, 3, **options, rngs=nnx.Rngs(0))


def _tokens(dtype=np.float64, masks=MASKS):
    rng = np.random.default_rng(0)
    return {
        m: {
            "values": jnp.asarray(rng.normal(size=(2, length, 6)), dtype),
            "mask": jnp.asarray(masks[m]),
        }
        for m, length in LENGTHS.items()
    }


def _expected(params, tokens):
    """The output at the learned token, real tokens alone before the transformer."""
    outputs = []
    for row in range(2):
        real = [
            np.float64(t["values"])[row][np.asarray(t["mask"])[row]] + params["modality"][m]
            for m, t in tokens.items()
        ]
        steps = np.concatenate([params["token"], *real])[None]
        mask = np.ones(steps.shape[:2], bool)
        outputs.append(reference.stack(params["stack"], steps, mask, heads=3)[0, 0])
    return np.stack(outputs)


@pytest.mark.parametrize("given", ["abc", "ca", "b"])
def test_is_one_transformer_over_the_tokens_that_are_given(x64, given):
    trunk, params = reference.randomized(_make(param_dtype=jnp.float64))
    assert sorted(params["modality"]) == ["a", "b", "c"]
    tokens = {m: t for m, t in _tokens().items() if m in given}
    output = run(trunk, tokens)
    assert output.shape == (2, 6)
    np.testing.assert_allclose(output, _expected(params, tokens), rtol=1e-9, atol=1e-9)


def test_tokens_that_are_not_real_never_matter():
    trunk, _ = reference.randomized(_make())
    tokens = _tokens(np.float32)
    filled = {
        m: t | {"values": jnp.where(t["mask"][..., None], t["values"], jnp.nan)}
        for m, t in tokens.items()
    }
    np.testing.assert_array_equal(run(trunk, filled), run(trunk, tokens))


def test_without_a_real_token_the_learned_one_is_by_itself(x64):
    trunk, params = reference.randomized(_make(param_dtype=jnp.float64))
    silent = _tokens(masks={m: np.zeros_like(mask) for m, mask in MASKS.items()})
    alone = reference.stack(params["stack"], params["token"][None], np.ones((1, 1), bool), heads=3)
    np.testing.assert_allclose(run(trunk, silent), np.repeat(alone[:, 0], 2, axis=0), rtol=1e-9)


def test_the_embedding_tells_modalities_apart():
    trunk, _ = reference.randomized(_make())
    tokens = _tokens(np.float32)["b"]
    assert jnp.abs(run(trunk, {"a": tokens}) - run(trunk, {"b": tokens})).max() > 1e-2


@pytest.mark.parametrize(
    "features, message",
    [
        ({}, "features are empty"),
        (
            {"a": {"values": jnp.zeros((2, 3, 5)), "mask": jnp.ones((2, 3), bool)}},
            "tokens of 'a' have size 5; the trunk's width is 6",
        ),
    ],
)
def test_other_features_are_refused(features, message):
    with pytest.raises(ValueError, match=message):
        _make()(features)
