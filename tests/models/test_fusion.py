import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.models import (
    FUSIONS,
    ConcatFusion,
    FiLMFusion,
    GatedFusion,
    SumFusion,
    UnimodalHead,
)
from masam_jax.models.fusion import get_fusion
from tests.models import fusion_reference as reference

SIZES = {"b": 2, "c": 4, "a": 3}
CLASSES = 5

FEATURES = {
    "b": jnp.asarray(np.random.default_rng(0).normal(size=(4, 2)), jnp.float32),
    "a": jnp.asarray(np.random.default_rng(1).normal(size=(4, 3)), jnp.float32),
}


def _features(count, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    sizes = {m: SIZES[m] for m in list(SIZES)[:count]}
    return sizes, {m: jnp.asarray(rng.normal(size=(6, h)), dtype) for m, h in sizes.items()}


def _head(kind, sizes, *, param_dtype=jnp.float64, **options):
    """A head with random parameters throughout, and these parameters as a dict."""
    head = kind(sizes, CLASSES, param_dtype=param_dtype, rngs=nnx.Rngs(0), **options)
    rng = np.random.default_rng(7)
    state = jax.tree.map(
        lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype), nnx.state(head, nnx.Param)
    )
    nnx.update(head, state)
    return head, nnx.to_pure_dict(state)


def test_concatenates_in_sorted_order_whatever_the_order_of_the_dict():
    fusion = ConcatFusion({"b": 2, "a": 3}, 5, rngs=nnx.Rngs(0))
    kernel = fusion.dense.kernel[...]
    expected = FEATURES["a"] @ kernel[:3] + FEATURES["b"] @ kernel[3:]
    np.testing.assert_allclose(fusion(FEATURES), expected, rtol=1e-5, atol=1e-6)
    backwards = dict(sorted(FEATURES.items()))
    np.testing.assert_array_equal(fusion(backwards), fusion(FEATURES))


def test_unimodal_head_is_linear():
    head = UnimodalHead(3, 5, rngs=nnx.Rngs(0))
    head.dense.bias[...] = jnp.arange(5, dtype=jnp.float32)
    expected = FEATURES["a"] @ head.dense.kernel[...] + jnp.arange(5, dtype=jnp.float32)[None]
    np.testing.assert_allclose(head(FEATURES["a"]), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", FUSIONS)
def test_heads_follow_their_equations(x64, name, count):
    sizes, features = _features(count)
    head, params = _head(FUSIONS[name], sizes)
    logits = head(features)
    assert logits.dtype == jnp.float64
    assert logits.shape == (6, CLASSES)
    np.testing.assert_allclose(logits, reference.FUSIONS[name](params, features), rtol=1e-10)
    expected = reference.modality_logits(name, params, features)
    parts = head.modality_logits(features)
    assert list(parts) == sorted(sizes)
    for m in sizes:
        np.testing.assert_allclose(parts[m], expected[m], rtol=1e-10)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("name", ["concat", "sum"])
def test_linear_heads_are_the_sum_of_their_modalities(x64, name, count):
    sizes, features = _features(count)
    head, _ = _head(FUSIONS[name], sizes)
    parts = head.modality_logits(features)
    np.testing.assert_allclose(sum(parts.values()), head(features), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FUSIONS)
def test_a_modality_alone_says_the_same_as_among_others(x64, name):
    """The logits of a modality are a function of its own features."""
    sizes, features = _features(3)
    head, _ = _head(FUSIONS[name], sizes)
    together = head.modality_logits(features)
    for m in sizes:
        alone = head.modality_logits({m: features[m]})
        assert list(alone) == [m]
        np.testing.assert_allclose(alone[m], together[m], rtol=1e-12)


@pytest.mark.parametrize("name", FUSIONS)
def test_one_modality_is_the_whole_prediction(x64, name):
    sizes, features = _features(1)
    head, _ = _head(FUSIONS[name], sizes)
    np.testing.assert_allclose(head.modality_logits(features)["b"], head(features), rtol=1e-12)


@pytest.mark.parametrize("chosen", sorted(SIZES))
def test_any_modality_may_be_conditioned_or_gated(x64, chosen):
    sizes, features = _features(3)
    head, params = _head(FiLMFusion, sizes, conditioned=chosen)
    assert params["dense"]["kernel"].shape == (SIZES[chosen], CLASSES)
    expected = reference.film(params, features, conditioned=chosen)
    np.testing.assert_allclose(head(features), expected, rtol=1e-10)
    head, params = _head(GatedFusion, sizes, gated=chosen, width=7)
    assert params["dense"]["kernel"].shape == (7, CLASSES)
    expected = reference.gated(params, features, gated=chosen)
    np.testing.assert_allclose(head(features), expected, rtol=1e-10)


def test_film_without_scale_and_shift_leaves_the_conditioned_modality_alone():
    sizes, features = _features(3, dtype=np.float32)
    head = FiLMFusion(sizes, CLASSES, rngs=nnx.Rngs(0))
    for layer in head.film.values():
        layer.kernel[...] = jnp.zeros_like(layer.kernel[...])
    np.testing.assert_array_equal(head(features), head.dense(features["c"]))


def test_closed_gates_leave_the_bias():
    sizes, features = _features(2, dtype=np.float32)
    head, params = _head(GatedFusion, sizes, param_dtype=jnp.float32)
    head.project["b"].bias[...] = jnp.full_like(head.project["b"].bias[...], -1e4)
    expected = np.broadcast_to(params["dense"]["bias"], (6, CLASSES))
    np.testing.assert_allclose(head(features), expected, rtol=1e-6)


@pytest.mark.parametrize("name", FUSIONS)
def test_the_order_of_the_sizes_changes_no_parameter(name):
    params = [
        nnx.to_pure_dict(nnx.state(FUSIONS[name](sizes, CLASSES, rngs=nnx.Rngs(3)), nnx.Param))
        for sizes in (SIZES, dict(sorted(SIZES.items())))
    ]
    chex.assert_trees_all_equal(*params)


@pytest.mark.parametrize("name", FUSIONS)
def test_every_kernel_of_a_head_is_drawn_on_its_own(name):
    head = FUSIONS[name]({"a": 4, "b": 4, "c": 4}, 4, rngs=nnx.Rngs(0))
    leaves = jax.tree.leaves(nnx.to_pure_dict(nnx.state(head, nnx.Param)))
    kernels = [x for x in leaves if x.ndim == 2]
    assert len({np.asarray(kernel).tobytes() for kernel in kernels}) == len(kernels)


@pytest.mark.parametrize("name", FUSIONS)
def test_bfloat16_heads_compute_in_bfloat16(name):
    sizes, features = _features(2, dtype=np.float32)
    head = FUSIONS[name](sizes, CLASSES, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    assert head(features).dtype == jnp.bfloat16
    assert {z.dtype for z in head.modality_logits(features).values()} == {jnp.dtype(jnp.bfloat16)}


def test_registry_names_the_nearest_head():
    assert get_fusion("sum") is SumFusion
    assert get_fusion("concat") is ConcatFusion
    with pytest.raises(ValueError, match=r"fusion 'gate'; did you mean 'gated'\? .*concat, sum"):
        get_fusion("gate")
    with pytest.raises(ValueError, match=r"unknown fusion 'xyz' \(known"):
        get_fusion("xyz")


@pytest.mark.parametrize(
    "kind, options, message",
    [
        (FiLMFusion, {"conditioned": "video"}, r"conditioned: unknown modality 'video'.*a, b"),
        (GatedFusion, {"gated": "aa"}, r"gated: unknown modality 'aa'; did you mean 'a'\?"),
        (GatedFusion, {"width": 0}, "width must be an integer >= 1, got 0"),
    ],
)
def test_bad_arguments_are_refused_by_name(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind({"a": 3, "b": 2}, CLASSES, rngs=nnx.Rngs(0), **options)
