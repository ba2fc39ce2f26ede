import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import AttentionFusion
from tests.models import transformer_reference as reference
from tests.models.transformer_reference import run

SIZES = {"video": 5, "audio": 2, "text": 3}


def _features(dtype=np.float64):
    rng = np.random.default_rng(0)
    return {m: jnp.asarray(rng.normal(size=(6, size)), dtype) for m, size in SIZES.items()}


@pytest.mark.parametrize("width, heads", [(None, 4), (None, 3), (9, 3), (4, 1)])
def test_follows_its_equations_at_any_width(x64, width, heads):
    head = AttentionFusion(
        SIZES, 4, width=width, heads=heads, param_dtype=jnp.float64, rngs=nnx.Rngs(0)
    )
    head, params = reference.randomized(head)
    # The largest features, rounded up to a multiple of the heads.
    units = width or {4: 8, 3: 6}[heads]
    assert params["token"].shape == (1, units)
    assert set(params) == {"stack", "token", "project", "dense"}
    assert {m: layer["kernel"].shape for m, layer in params["project"].items()} == {
        m: (size, units) for m, size in SIZES.items()
    }
    logits = run(head, _features())
    expected = reference.attention_fusion(params, _features(), heads)
    assert expected.shape == (6, 4)
    np.testing.assert_allclose(logits, expected, rtol=1e-10, atol=1e-12)


def test_modality_logits_are_of_the_others_left_out_not_zero(x64):
    head = AttentionFusion(SIZES, 4, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    head, params = reference.randomized(head)
    features = _features()
    parts = head.modality_logits({"video": features["video"], "audio": features["audio"]})
    assert list(parts) == ["audio", "video"]
    silent = {m: jnp.zeros_like(f) for m, f in features.items()}
    for m, part in parts.items():
        expected = reference.attention_fusion(params, {m: features[m]})
        np.testing.assert_allclose(part, expected, rtol=1e-10, atol=1e-12)
        assert jnp.abs(part - head(silent | {m: features[m]})).max() > 1e-3


def test_modalities_attend_to_each_other():
    """What one of them adds to the logits depends on the other."""
    head, _ = reference.randomized(AttentionFusion(SIZES, 4, rngs=nnx.Rngs(0)))
    features = _features(np.float32)

    zeros = {m: jnp.zeros_like(f) for m, f in features.items()}

    def logits(*modalities):
        return run(head, zeros | {m: features[m] for m in modalities})

    with_audio = logits("audio", "text") - logits("audio")
    without = logits("text") - logits()
    assert jnp.abs(with_audio - without).max() > 1e-2


def test_the_order_of_the_modalities_means_nothing():
    head, _ = reference.randomized(AttentionFusion(SIZES, 4, rngs=nnx.Rngs(0)))
    features = _features(np.float32)
    backwards = dict(sorted(features.items(), reverse=True))
    np.testing.assert_array_equal(run(head, backwards), run(head, features))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"heads": 0}, "heads must be an integer >= 1, got 0"),
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"width": 6}, "width is 6 and heads is 4, which must divide it"),
    ],
)
def test_bad_arguments_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        AttentionFusion(SIZES, 4, **options, rngs=nnx.Rngs(0))
