from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax import masam, multimodal_value_and_grad
from masam_jax.models import (
    EarlyFusionNetwork,
    PatchTokenizer,
    SequenceTokenizer,
    cross_entropy_objective,
)
from tests.models import transformer_reference as reference

BOTH = pytest.mark.parametrize("shared", [False, True], ids=["early", "shared"])
MASK = np.asarray([[1, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]], bool)
LABELS = jnp.asarray([0, 2, 1, 2], jnp.int32)
WIDTH, HEADS, CLASSES = 6, 3, 3


def _network(shared, names=None, *, dtype=None, param_dtype=jnp.float32, **options):
    dtypes = {"dtype": dtype, "param_dtype": param_dtype}
    tokenizers = {
        "text": partial(SequenceTokenizer, 4, WIDTH, 5, **dtypes),
        "image": partial(PatchTokenizer, 1, (4, 4), WIDTH, (2, 2), **dtypes),
        "table": partial(SequenceTokenizer, 2, WIDTH, **dtypes),
    }
    tokenizers = {m: tokenizers[m] for m in names or tokenizers}
    options = {"width": WIDTH, "depth": 1, "heads": HEADS} | options
    return EarlyFusionNetwork(tokenizers, CLASSES, shared_backbone=shared, **options, **dtypes)


def _params(network):
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    rng = np.random.default_rng(2)
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape) / 2, x.dtype), shapes)


def _inputs(dtype=np.float32):
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), dtype)  # noqa: E731
    return {
        "image": draw(4, 4, 4, 1),
        "table": draw(4, 2),
        "text": {"values": draw(4, 3, 4), "mask": jnp.asarray(MASK)},
    }


def _trunk(params, tokens):
    """The output at the learned token of some modalities' tokens."""
    steps = [np.float64(t["values"]) + np.float64(params["modality"][m]) for m, t in tokens.items()]
    masks = [np.asarray(t["mask"]) for t in tokens.values()]
    steps, mask = np.concatenate(steps, axis=1), np.concatenate(masks, axis=1)
    steps, mask = reference.with_token(params["token"], steps, mask)
    return reference.stack(params["stack"], steps, mask, HEADS)[:, 0]


@BOTH
def test_logits_follow_their_equations(x64, shared):
    network = _network(shared, param_dtype=jnp.float64)
    params, inputs = _params(network), _inputs(np.float64)
    logits, unimodal = jax.jit(network.apply)(params, inputs)
    tokens = {m: network.encode(params, m, inputs[m]) for m in network.modalities}
    alone = {m: _trunk(params["trunk"], {m: t}) for m, t in tokens.items()}
    close = partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-10)
    for m in network.modalities:
        close(unimodal[m], reference.dense(params["heads"][m]["dense"], alone[m]))
    fused = (
        np.concatenate([alone[m] for m in sorted(alone)], axis=-1)
        if shared
        else _trunk(params["trunk"], tokens)
    )
    close(logits, reference.dense(params["fusion"]["dense"], fused))
    parts = jax.jit(network.modality_logits)(params, tokens)
    if shared:
        close(sum(parts.values()), logits)
    else:
        for m, part in parts.items():
            close(part, reference.dense(params["fusion"]["dense"], alone[m]))


@BOTH
def test_tokenizers_alone_are_labelled(shared):
    network = _network(shared)
    params = jax.eval_shape(network.init, jax.random.key(0))
    assert sorted(params) == ["encoders", "fusion", "heads", "trunk"]
    labels = network.labels(params)
    assert jax.tree.structure(labels) == jax.tree.structure(params)
    for part, tree in labels.items():
        if part == "encoders":
            assert {m: set(jax.tree.leaves(t)) for m, t in tree.items()} == {
                m: {m} for m in network.modalities
            }
        else:
            assert set(jax.tree.leaves(tree)) == {"other"}


def _plain_loss(network):
    """The same losses from one forward pass, nothing reused."""

    def loss_fn(params, inputs, labels):
        return cross_entropy_objective(*network.apply(params, inputs), labels)

    return loss_fn


@BOTH
def test_a_unimodal_loss_reaches_no_other_modalitys_parameters(shared):
    network = _network(shared)
    params, inputs = _params(network), _inputs()
    loss = _plain_loss(network)
    grads = jax.jit(jax.jacrev(lambda p: loss(p, inputs, LABELS)[1]))(params)
    for m, grad in grads.items():
        reached = {
            f"{part}/{name}"
            for part in ("encoders", "heads")
            for name, tree in grad[part].items()
            if any(np.any(leaf) for leaf in jax.tree.leaves(tree))
        }
        assert reached == {f"encoders/{m}", f"heads/{m}"}
        assert any(np.any(leaf) for leaf in jax.tree.leaves(grad["trunk"]))
        assert not any(np.any(leaf) for leaf in jax.tree.leaves(grad["fusion"]))


@BOTH
def test_the_fast_path_is_exact_at_the_perturbed_point(x64, shared):
    """It reuses the other modalities' tokens, and still has the gradient of the plain loss."""
    network = _network(shared, param_dtype=jnp.float64)
    params, inputs = _params(network), _inputs(np.float64)
    rng = np.random.default_rng(4)
    moved = jax.tree.map(lambda x: x + rng.normal(size=x.shape) / 4, params["encoders"]["text"])
    there = params | {"encoders": params["encoders"] | {"text": moved}}

    def late(params, there):
        value_and_grad = multimodal_value_and_grad(network.late_fusion())
        _, _, signals = value_and_grad(params, inputs, LABELS)
        return signals["fusion_grad_fn"](there, "text")

    loss = _plain_loss(network)
    plain = jax.jit(jax.grad(lambda p: loss(p, inputs, LABELS)[0]))
    found = jax.jit(late)(params, there)["encoders"]["text"]
    here, expected = (plain(p)["encoders"]["text"] for p in (params, there))
    chex.assert_trees_all_close(found, expected, rtol=1e-09, atol=1e-12)
    assert np.abs(here["dense"]["kernel"] - expected["dense"]["kernel"]).max() > 1e-5


def test_a_masam_step_is_that_of_the_plain_loss(x64):
    network = _network(False, ("table", "text"), param_dtype=jnp.float64)
    params, inputs = _params(network), _inputs(np.float64)
    tx = masam(network.labels, rho=0.5)

    def step(loss, params):
        _, grads, signals = multimodal_value_and_grad(loss)(params, inputs, LABELS)
        return tx.update(grads, tx.init(params), params, **signals)[0], grads

    late, _ = jax.jit(partial(step, network.late_fusion()))(params)
    plain, grads = jax.jit(partial(step, _plain_loss(network)))(params)
    chex.assert_trees_all_close(late, plain, rtol=1e-08, atol=1e-11)
    changed = {
        m
        for m in network.modalities
        if any(
            np.abs(x - y).max() > 1e-6
            for x, y in zip(
                jax.tree.leaves(plain["encoders"][m]),
                jax.tree.leaves(grads["encoders"][m]),
                strict=True,
            )
        )
    }
    assert len(changed) == 1


@BOTH
def test_padding_changes_nothing(shared):
    network = _network(shared)
    params, inputs = _params(network), _inputs()
    text = inputs["text"]
    values = jnp.where(MASK[..., None], text["values"], jnp.nan)
    filled = inputs | {"text": {"values": values, "mask": text["mask"]}}
    apply = jax.jit(network.apply)
    chex.assert_trees_all_equal(apply(params, filled), apply(params, inputs))


def test_every_kernel_of_every_seed_is_drawn_on_its_own():
    network = _network(False)
    params = jax.jit(jax.vmap(network.init))(jax.random.split(jax.random.key(0), 2))
    kernels = [x for x in jax.tree.leaves(params) if x.shape == (2, WIDTH, WIDTH)]
    assert len(kernels) == 4
    assert len({np.asarray(x).tobytes() for kernel in kernels for x in kernel}) == 8
    assert params["trunk"]["modality"]["text"].shape == (2, 1, WIDTH)


def test_computes_in_bfloat16_and_on_labels_by_the_dozen():
    # Its tokens are float32.
    tokenizer = partial(SequenceTokenizer, 2, WIDTH)
    options = {"width": WIDTH, "heads": HEADS, "shared_backbone": True, "multi_label": True}
    network = EarlyFusionNetwork({"table": tokenizer}, 12, dtype=jnp.bfloat16, **options)
    assert network.multi_label
    params = jax.eval_shape(network.init, jax.random.key(0))
    logits, unimodal = jax.eval_shape(network.apply, params, _inputs())
    assert {x.dtype for x in (logits, *unimodal.values())} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"width": 7}, "width is 7 and heads is 3, which must divide it"),
        ({"depth": 0}, "depth must be an integer >= 1, got 0"),
    ],
)
def test_bad_arguments_are_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        _network(False, **options)


def test_tokens_of_another_size_are_refused():
    network = _network(False, width=9)
    params = jax.eval_shape(network.init, jax.random.key(0))
    with pytest.raises(ValueError, match="tokens of 'image' have size 6; the trunk's width is 9"):
        jax.eval_shape(network.apply, params, _inputs())
