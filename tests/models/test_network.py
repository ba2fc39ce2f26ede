from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from masam_jax.core.gradients import multimodal_value_and_grad
from masam_jax.models import (
    FUSIONS,
    ConvEncoder,
    LateFusionNetwork,
    MLPEncoder,
    cross_entropy_objective,
    mlp_network,
)

DIMS = {"b": 3, "a": 5}
INPUTS = {
    modality: jnp.asarray(np.random.default_rng(dim).normal(size=(6, dim)), jnp.float32)
    for modality, dim in DIMS.items()
}
LABELS = jnp.array([0, 1, 2, 3, 0, 1], jnp.int32)


@pytest.fixture(scope="module")
def network():
    return mlp_network(DIMS, 4, width=8, depth=2)


@pytest.fixture(scope="module")
def params(network):
    return network.init(jax.random.key(0))


def _flat(tree):
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


def test_params_are_plain_dicts_of_arrays(network, params):
    assert network.modalities == ("a", "b")
    assert set(_flat(params)) == {
        f"{part}/{leaf}"
        for part in (
            *(f"encoders/{m}/dense_{i}" for m in DIMS for i in range(2)),
            "fusion/dense",
            *(f"heads/{m}/dense" for m in DIMS),
        )
        for leaf in ("kernel", "bias")
    }
    assert type(params["encoders"]["a"]["dense_0"]) is dict
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize("make_key", [jax.random.key, jax.random.PRNGKey])
def test_seeds_drawn_together_are_those_drawn_alone(network, make_key):
    keys = jax.random.split(make_key(0), 2)
    together = jax.jit(jax.vmap(network.init))(keys)
    chex.assert_trees_all_close(
        jax.tree.map(lambda x: x[1], together), network.init(keys[1]), rtol=1e-5, atol=1e-7
    )


def test_init_may_be_jitted(network, params):
    chex.assert_trees_all_close(
        jax.jit(network.init)(jax.random.key(0)), params, rtol=1e-05, atol=1e-07
    )


def test_every_kernel_is_drawn_on_its_own():
    network = mlp_network({"a": 8, "b": 8}, 8, width=8, depth=2)
    params = network.init(jax.random.key(0))
    # Both unimodal heads, both encoders' four kernels: all are 8 by 8.
    kernels = [x for x in jax.tree.leaves(params) if x.shape == (8, 8)]
    assert len(kernels) == 6
    assert len({np.asarray(kernel).tobytes() for kernel in kernels}) == 6


def test_order_of_the_dict_changes_nothing(network, params):
    other = mlp_network(dict(sorted(DIMS.items())), 4, width=8, depth=2).init(jax.random.key(0))
    chex.assert_trees_all_equal(params, other)


def test_apply_is_encode_then_fuse_and_unimodal(network, params):
    features = {m: network.encode(params, m, INPUTS[m]) for m in network.modalities}
    logits, unimodal = jax.jit(network.apply)(params, INPUTS)
    assert logits.shape == (6, 4)
    joined = jnp.concatenate([features["a"], features["b"]], axis=1)
    head = params["fusion"]["dense"]
    expected = joined @ head["kernel"] + head["bias"][None]
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
    for m in network.modalities:
        head = params["heads"][m]["dense"]
        expected = features[m] @ head["kernel"] + head["bias"][None]
        np.testing.assert_allclose(unimodal[m], expected, rtol=1e-5, atol=1e-6)


def test_an_encoder_and_a_head_read_their_own_modality_alone(network, params):
    grads = jax.grad(lambda p: network.apply(p, INPUTS)[1]["a"].sum())(params)
    moved = {name for name, g in _flat(grads).items() if jnp.abs(g).max() > 0}
    assert {name.split("/dense")[0] for name in moved} == {"encoders/a", "heads/a"}


def test_labels_name_every_leaf(network, params):
    labels = network.labels(params)
    assert jax.tree.structure(labels) == jax.tree.structure(params)
    for name, label in _flat(labels).items():
        group, part = name.split("/")[:2]
        assert label == (part if group == "encoders" else "other")


def test_further_parameters_are_other(network, params):
    """Methods keep trainable parameters of their own beside those of the network."""
    more = params | {"method": {"head": {"kernel": jnp.ones((2, 2))}, "scale": jnp.ones(())}}
    labels = network.labels(more)
    assert labels["method"] == {"head": {"kernel": "other"}, "scale": "other"}
    assert {part: labels[part] for part in params} == network.labels(params)


def test_labels_work_on_abstract_parameters(network, params):
    abstract = jax.eval_shape(network.init, jax.random.key(0))
    assert network.labels(abstract) == network.labels(params)


def test_late_fusion_has_the_losses_and_gradients_of_apply(network, params):
    def loss(params):
        fusion, unimodal = cross_entropy_objective(*network.apply(params, INPUTS), LABELS)
        return fusion + sum(unimodal.values()), (fusion, unimodal)

    (total, (fusion, unimodal)), expected = jax.value_and_grad(loss, has_aux=True)(params)
    value_and_grad = multimodal_value_and_grad(network.late_fusion())
    losses, grads, signals = value_and_grad(params, INPUTS, LABELS)
    np.testing.assert_allclose(losses.total, total, rtol=1e-6)
    np.testing.assert_allclose(losses.fusion, fusion, rtol=1e-6)
    assert sorted(losses.unimodal) == sorted(unimodal)
    for m, value in unimodal.items():
        np.testing.assert_allclose(losses.unimodal[m], value, rtol=1e-6)
    compare = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(compare, grads, expected)
    fusion_grads = jax.grad(lambda p: loss(p)[1][0])(params)
    jax.tree.map(compare, signals["fusion_grads"], fusion_grads)


def test_an_objective_of_one_s_own_may_hand_out_logits(network, params):
    def with_logits(logits, unimodal_logits, labels):
        aux = {"logits": logits, "unimodal_logits": unimodal_logits}
        return *cross_entropy_objective(logits, unimodal_logits, labels), aux

    value_and_grad = multimodal_value_and_grad(network.late_fusion(with_logits), has_aux=True)
    losses, _, _ = value_and_grad(params, INPUTS, LABELS)
    logits, unimodal = network.apply(params, INPUTS)
    np.testing.assert_allclose(losses.aux["logits"], logits, rtol=1e-6)
    np.testing.assert_allclose(losses.aux["unimodal_logits"]["b"], unimodal["b"], rtol=1e-6)


def test_bfloat16_computation_keeps_float32_parameters_and_losses():
    network = mlp_network(DIMS, 4, width=8, dtype=jnp.bfloat16)
    params = network.init(jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    logits, _ = network.apply(params, INPUTS)
    assert logits.dtype == jnp.bfloat16
    assert network.late_fusion()(params, INPUTS, LABELS)[0].dtype == jnp.float32


def test_float64_parameters(x64):
    network = mlp_network(DIMS, 4, param_dtype=jnp.float64)
    params = jax.eval_shape(network.init, jax.random.key(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float64)}


def _conv_network(channels, width, convolutions, **options):
    encoders = {m: partial(ConvEncoder, c, width, convolutions) for m, c in channels.items()}
    return LateFusionNetwork(encoders, dict.fromkeys(channels, width), 4, **options)


def test_convolutions_take_images_of_several_sizes():
    network = _conv_network({"image": 3, "sound": 1}, 8, (4, 8))
    params = jax.eval_shape(network.init, jax.random.key(0))
    inputs = {
        "image": jnp.ones((2, 8, 8, 3), jnp.float32),
        "sound": jnp.ones((2, 5, 9, 1), jnp.float32),
    }
    logits, unimodal = jax.eval_shape(network.apply, params, inputs)
    assert logits.shape == unimodal["image"].shape == unimodal["sound"].shape == (2, 4)


def test_encoders_of_different_widths():
    network = LateFusionNetwork(
        {"a": partial(MLPEncoder, 5, 7), "b": partial(nnx.Linear, 3, 2)}, {"a": 7, "b": 2}, 4
    )
    params = jax.eval_shape(network.init, jax.random.key(0))
    assert params["fusion"]["dense"]["kernel"].shape == (9, 4)
    assert jax.eval_shape(network.apply, params, INPUTS)[0].shape == (6, 4)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_fusion_heads_by_name(fusion):
    network = mlp_network(DIMS, 4, width=8, fusion=fusion)
    assert network.num_classes == 4
    assert network.feature_sizes == {"a": 8, "b": 8}
    params = network.init(jax.random.key(0))
    features = {m: network.encode(params, m, INPUTS[m]) for m in network.modalities}
    parts = jax.jit(network.modality_logits)(params, features)
    assert list(parts) == ["a", "b"]
    assert network.fuse(params, features).shape == parts["a"].shape == (6, 4)
    assert network.modality_logits(params, {"b": features["b"]})["b"].shape == (6, 4)
    if fusion in ("concat", "sum"):
        np.testing.assert_allclose(
            sum(parts.values()), network.fuse(params, features), rtol=1e-5, atol=1e-6
        )
    labels = network.labels(params)
    assert set(jax.tree.leaves(labels["fusion"])) == {"other"}
    images = _conv_network({"a": 1, "b": 3}, 8, (4,), fusion=fusion)
    shapes = jax.eval_shape(images.init, jax.random.key(0))
    assert jax.tree.map(jnp.shape, shapes["fusion"]) == jax.tree.map(jnp.shape, params["fusion"])


def test_the_fusion_head_changes_no_other_parameter(params):
    other = mlp_network(DIMS, 4, width=8, depth=2, fusion="gated").init(jax.random.key(0))
    for part in ("encoders", "heads"):
        chex.assert_trees_all_equal(other[part], params[part])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_head_is_trained_by_late_fusion(fusion):
    network = mlp_network(DIMS, 4, width=8, fusion=fusion)
    params = network.init(jax.random.key(0))
    value_and_grad = multimodal_value_and_grad(network.late_fusion())
    _, grads, _ = value_and_grad(params, INPUTS, LABELS)
    for name, grad in _flat(grads).items():
        assert jnp.abs(grad).max() > 0, name


def test_unknown_fusion_heads_are_refused():
    with pytest.raises(ValueError, match=r"fusion 'flim'; did you mean 'film'\?"):
        mlp_network({"a": 2}, 4, fusion="flim")


class _Counting(nnx.Module):
    def __init__(self, *, rngs):
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.calls = nnx.Intermediate(jnp.zeros(()))

    def __call__(self, inputs):
        self.calls[...] = self.calls[...] + 1
        return self.dropout(self.norm(inputs))


LINEAR = {"a": partial(nnx.Linear, 5, 2)}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (({}, {}, 4), "at least one modality"),
        ((LINEAR, {"b": 2}, 4), r"encoders name \['a'\] and features \['b'\]"),
        (({"other": LINEAR["a"]}, {"other": 2}, 4), "'other' cannot name a modality"),
        ((LINEAR, {"a": 2}, 1), "num_classes is 1"),
        (({"a": _Counting}, {"a": 3}, 4), r"encoders\['a'\] holds state other.*\(calls\)"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, message):
    with pytest.raises(ValueError, match=message):
        LateFusionNetwork(*arguments)


def test_labels_of_a_step_count_are_told_what_helps(network):
    with pytest.raises(ValueError, match=r'step count .*static_args=\("labels",\)'):
        network.labels(jnp.zeros((), jnp.int32))
