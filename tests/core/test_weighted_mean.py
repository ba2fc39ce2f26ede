"""WeightedMean: a batch in parts, over devices, and both, has the whole batch's numbers.

The reference is a small network in float64 NumPy, its gradients derived by hand.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, PartitionSpec

from masam_jax import LateFusion, WeightedMean, masam, multimodal_value_and_grad
from masam_jax.core import microbatches
from masam_jax.core.losses import cross_entropy, masked_cross_entropy, sample_cross_entropy
from tests.core.optimizers import lenient

BATCH, CLASSES = 16, 3
MODALITIES = ("a", "v")
LAMBDA = {"a": 0.5, "v": 1.75}
RHO, RATE = 0.4, 0.1
LABELS = {"encoders": {m: m for m in MODALITIES}, "fusion": "other", "heads": "other"}


class Data(NamedTuple):
    """Inputs ``{m: [B, D_m]}``, labels, ``{m: bool [B]}``, and weights ``[B]`` of the fusion."""

    inputs: Any
    labels: Any
    present: Any
    weights: Any


def _parameters() -> dict[str, Any]:
    draw = np.random.default_rng(3).normal
    sizes = {"a": 4, "v": 5}
    return {
        "encoders": {m: draw(size=(sizes[m], 6)) for m in MODALITIES},
        "fusion": {m: draw(size=(6, CLASSES)) for m in MODALITIES},
        "heads": {m: draw(size=(6, CLASSES)) for m in MODALITIES},
    }


def _data(presence: str, multi_label: bool) -> Data:
    generator = np.random.default_rng(5)
    draws = generator.random((2, BATCH)) < 0.5
    draws[:, 0] = True
    present = {
        "dense": dict.fromkeys(MODALITIES, np.ones(BATCH, bool)),
        "ragged": dict(zip(MODALITIES, draws, strict=True)),
        # Of the first device and of the first microbatch alone.
        "in one part": {"a": draws[0], "v": np.isin(np.arange(BATCH), [0, 4])},
    }[presence]
    shape = (BATCH, CLASSES) if multi_label else (BATCH,)
    labels = generator.integers(0, 2 if multi_label else CLASSES, shape).astype(np.int32)
    inputs = {m: generator.normal(size=(BATCH, 4 + i)) for i, m in enumerate(MODALITIES)}
    weights = np.ones(BATCH) if presence == "dense" else generator.random(BATCH)
    return Data(inputs, labels, present, weights)


# The library's side.


def _encode(modality: str, params: Any, data: Data) -> jax.Array:
    return jnp.tanh(data.inputs[modality] @ params["encoders"][modality])


def _objective(params: Any, features: Any, data: Data) -> tuple[Any, Any]:
    logits = sum(features[m] @ params["fusion"][m] for m in MODALITIES)
    each = sample_cross_entropy(logits, data.labels)
    fusion = WeightedMean(jnp.sum(data.weights * each), jnp.sum(data.weights))
    return fusion, {
        m: masked_cross_entropy(features[m] @ params["heads"][m], data.labels, data.present[m])
        for m in MODALITIES
    }


LATE = LateFusion({m: partial(_encode, m) for m in MODALITIES}, _objective)


def _run(loss_fn: Any, parts: int, axis: str | None, params: Any, data: Data) -> dict[str, Any]:
    function = multimodal_value_and_grad(
        loss_fn, loss_weights=LAMBDA, microbatches=parts, axis_name=axis
    )
    losses, grads, signals = function(params, data)
    tx = optax.chain(masam(LABELS, rho=RHO), lenient(optax.sgd(RATE)))
    updates, _ = tx.update(grads, tx.init(params), params, **signals)
    moved = jax.tree.map(lambda leaf: 1.1 * leaf, params)
    return {
        "losses": {"total": losses.total, "fusion": losses.fusion, **losses.unimodal},
        "total": grads,
        "fusion": signals["fusion_grads"],
        "unimodal": signals["unimodal_grads"],
        "fusion elsewhere": signals["fusion_grad_fn"](moved),
        "total elsewhere": signals["total_grad_fn"](moved),
        "updates": updates,
    }


def _on_devices(how: str, loss_fn: Any, parts: int, params: Any, data: Data) -> dict[str, Any]:
    if how == "one device":
        return jax.jit(partial(_run, loss_fn, parts, None))(params, data)
    run = partial(_run, loss_fn, parts, "devices")
    if how == "pmap":
        shards = jax.tree.map(lambda x: x.reshape(2, -1, *x.shape[1:]), data)
        both = jax.pmap(run, axis_name="devices", in_axes=(None, 0))(params, shards)
        jax.tree.map(lambda x: np.testing.assert_array_equal(x[0], x[1]), both)
        return jax.tree.map(lambda x: x[0], both)
    mesh = jax.make_mesh((2,), ("devices",), axis_types=(AxisType.Auto,))
    whole, shards = PartitionSpec(), PartitionSpec("devices")
    mapped = jax.shard_map(run, mesh=mesh, in_specs=(whole, shards), out_specs=whole)
    return jax.jit(mapped)(params, data)


# The reference.


def _loss(logits: Any, labels: Any, weights: Any) -> tuple[float, Any]:
    """The weighted mean over the samples, and its gradient in the logits."""
    if labels.ndim == 2:
        each = (np.log1p(np.exp(logits)) - labels * logits).mean(axis=1)
        gradient = (1 / (1 + np.exp(-logits)) - labels) / CLASSES
    else:
        log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        each = -log_p[np.arange(len(labels)), labels]
        gradient = np.exp(log_p) - np.eye(CLASSES)[labels]
    share = weights / weights.sum()
    return float(share @ each), share[:, None] * gradient


def _zeros(params: Any) -> Any:
    return jax.tree.map(np.zeros_like, params)


def _to_encoder(gradient: Any, m: str, data: Data, features: Any, of_features: Any) -> None:
    gradient["encoders"][m] = data.inputs[m].T @ (of_features * (1 - features[m] ** 2))


def _features(params: Any, data: Data) -> dict[str, Any]:
    return {m: np.tanh(data.inputs[m] @ params["encoders"][m]) for m in MODALITIES}


def _fusion(params: Any, data: Data) -> tuple[float, Any]:
    features, gradient = _features(params, data), _zeros(params)
    logits = features["a"] @ params["fusion"]["a"] + features["v"] @ params["fusion"]["v"]
    loss, of_logits = _loss(logits, data.labels, data.weights)
    for m in MODALITIES:
        gradient["fusion"][m] = features[m].T @ of_logits
        _to_encoder(gradient, m, data, features, of_logits @ params["fusion"][m].T)
    return loss, gradient


def _unimodal(params: Any, data: Data, m: str) -> tuple[float, Any]:
    features, gradient = _features(params, data), _zeros(params)
    logits = features[m] @ params["heads"][m]
    loss, of_logits = _loss(logits, data.labels, data.present[m].astype(np.float64))
    gradient["heads"][m] = features[m].T @ of_logits
    _to_encoder(gradient, m, data, features, of_logits @ params["heads"][m].T)
    return loss, gradient


def _sum(*terms: tuple[float, Any]) -> Any:
    return jax.tree.map(
        lambda *leaves: sum(w * x for (w, _), x in zip(terms, leaves, strict=True)),
        *[tree for _, tree in terms],
    )


def _reference(params: Any, data: Data) -> dict[str, Any]:
    fusion_loss, fusion = _fusion(params, data)
    each = {m: _unimodal(params, data, m) for m in MODALITIES}

    def total(fusion_gradient: Any, unimodal: Any) -> Any:
        terms = [(LAMBDA[m], unimodal[m]) for m in MODALITIES]
        return _sum((1.0, fusion_gradient), *terms)

    gradients = {m: gradient for m, (_, gradient) in each.items()}
    # The first step: no decay yet, and so the score is the alignment.
    gamma, norm = {}, {}
    for m in MODALITIES:
        f, u = fusion["encoders"][m], gradients[m]["encoders"][m]
        norm[m] = np.linalg.norm(f)
        gamma[m] = (f * u).sum() / norm[m] / np.linalg.norm(u)
    best = max(MODALITIES, key=gamma.__getitem__)
    step = RHO * gamma[best] * fusion["encoders"][best] / norm[best]
    at = {**params, "encoders": {**params["encoders"], best: params["encoders"][best] + step}}
    there = _fusion(at, data)[1]["encoders"][best]
    mixed = {**fusion, "encoders": {**fusion["encoders"], best: there}}
    moved = jax.tree.map(lambda leaf: 1.1 * leaf, params)
    elsewhere = {m: _unimodal(moved, data, m)[1] for m in MODALITIES}
    losses = {m: loss for m, (loss, _) in each.items()}
    return {
        "losses": {
            "total": fusion_loss + sum(LAMBDA[m] * losses[m] for m in MODALITIES),
            "fusion": fusion_loss,
            **losses,
        },
        "total": total(fusion, gradients),
        "fusion": fusion,
        "unimodal": _sum(*[(1.0, gradients[m]) for m in MODALITIES]),
        "fusion elsewhere": _fusion(moved, data)[1],
        "total elsewhere": total(_fusion(moved, data)[1], elsewhere),
        "updates": jax.tree.map(lambda g: -RATE * g, total(mixed, gradients)),
    }


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("presence", ["dense", "ragged", "in one part"])
@pytest.mark.parametrize("multi_label", [False, True], ids=["classes", "labels"])
@pytest.mark.parametrize(
    ("how", "parts", "path", "form"),
    [
        ("one device", 1, "plain", "unrolled"),
        ("one device", 2, "plain", "unrolled"),
        ("one device", 4, "late", "unrolled"),
        ("one device", 4, "plain", "scanned"),
        ("shard_map", 1, "late", "unrolled"),
        ("shard_map", 2, "plain", "unrolled"),
        ("shard_map", 4, "late", "scanned"),
        ("pmap", 1, "plain", "unrolled"),
        ("pmap", 2, "late", "unrolled"),
    ],
)
def test_parts_and_devices_have_the_whole_batch_s_numbers(
    how, parts, path, form, multi_label, presence, monkeypatch
):
    monkeypatch.setattr(microbatches, "_unrolled", getattr(microbatches, f"_{form}"))
    params, data = _parameters(), _data(presence, multi_label)
    loss_fn = LATE if path == "late" else LATE.__call__
    found = _on_devices(how, loss_fn, parts, params, data)
    for name, want in _reference(params, data).items():
        jax.tree.map(
            lambda x, y, name=name: np.testing.assert_allclose(
                x, y, rtol=1e-9, atol=1e-12, err_msg=name
            ),
            found[name],
            want,
        )


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_untraced_it_is_the_same(parts):
    params, data = jax.tree.map(jnp.float32, _parameters()), _data("in one part", False)
    data = jax.tree.map(lambda x: x.astype(np.float32) if x.dtype == np.float64 else x, data)
    found = _run(LATE, parts, None, params, jax.tree.map(jnp.asarray, data))
    want = _reference(_parameters(), data)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-5), found, want)


def test_scalars_count_parts_alike_and_mix_with_weighted_means():
    x = jnp.asarray([1.0, 2.0, 3.0, 4.0])
    there = jnp.asarray([True, False, True, False])  # Microbatch 0 has all of them.

    def loss_fn(params, x, there):
        total, count = jnp.sum(jnp.where(there, params * x, 0)), jnp.sum(there)
        scalar = total / jnp.maximum(count, 1).astype(total.dtype)
        return jnp.mean(params * x), {"scalar": scalar, "weighted": WeightedMean(total, count)}

    function = jax.jit(multimodal_value_and_grad(loss_fn, microbatches=2))
    losses, grads, signals = function(jnp.float32(1.0), x, there)
    assert isinstance(losses.unimodal["weighted"], jax.Array)
    assert {m: float(loss) for m, loss in losses.unimodal.items()} == {"scalar": 1, "weighted": 2}
    assert float(losses.fusion) == 2.5
    assert float(grads) == float(signals["total_grad_fn"](jnp.float32(3.0))) == 1 + 2 + 2.5


def test_the_weight_is_not_differentiated_and_no_sample_is_zero():
    def loss_fn(params, x):
        return WeightedMean(params * jnp.sum(x), params * 4), {"a": WeightedMean(params, 0)}

    for parts in (1, 2):
        function = jax.jit(multimodal_value_and_grad(loss_fn, microbatches=parts))
        losses, grads, _ = function(jnp.float32(2.0), jnp.ones(4))
        assert float(losses.unimodal["a"]) == 0
        np.testing.assert_allclose(losses.fusion, 1 if parts == 1 else 0.5, rtol=1e-6)
        np.testing.assert_allclose(grads, 0.5 if parts == 1 else 0.25, rtol=1e-6)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_weight_that_is_no_number_is_not_taken_for_no_sample(parts):
    def loss_fn(params, x):
        return jnp.sum(params * x), {"a": WeightedMean(params, jnp.sum(x) * jnp.nan)}

    losses, _, _ = jax.jit(multimodal_value_and_grad(loss_fn, microbatches=parts))(
        jnp.float32(2.0), jnp.ones(4)
    )
    assert np.isnan(losses.unimodal["a"])


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_a_count_is_exact_whatever_the_loss_s_dtype(dtype):
    mean = WeightedMean(jnp.asarray(2051, jnp.float32).astype(dtype), jnp.asarray(2051)).value()
    assert mean.dtype == dtype
    want = np.float32(jnp.asarray(2051, jnp.float32).astype(dtype)) / 2051
    np.testing.assert_allclose(float(mean), want, rtol=float(jnp.finfo(dtype).eps))


def test_scaled_means():
    mean = WeightedMean(jnp.float32(6.0), jnp.int32(4)).scaled(jnp.float32(0.5))
    assert (float(mean.value()), int(mean.weight)) == (0.75, 4)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (WeightedMean(jnp.ones(2), 1), r"'a', its total, must be a real scalar, got shape \(2,\)"),
        (WeightedMean(jnp.ones(()), jnp.ones(2)), r"'a', its weight, .* got shape \(2,\)"),
        (WeightedMean(jnp.ones(()), 1j), "'a', its weight, .* complex"),
        (WeightedMean(jnp.int32(1), 1), "'a', its total, .* int32"),
        (WeightedMean(jnp.ones(()), None), "'a', its weight, must be a real scalar"),
        (WeightedMean(jnp.ones(()), "x"), "'a', its weight, must be a real scalar, got 'x'"),
        ((jnp.ones(()), jnp.ones(())), "'a' must be a real scalar"),
    ],
)
def test_what_is_no_weighted_mean_is_named(loss, message):
    with pytest.raises(TypeError, match=message):
        multimodal_value_and_grad(lambda p: (jnp.ones(()), {"a": loss}))(jnp.ones(()))


def _flops(function: Any, *operands: Any) -> float:
    return jax.jit(function).lower(*operands).compile().cost_analysis()["flops"]


@pytest.mark.parametrize("form", ["unrolled", "scanned"])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_the_weights_cost_no_pass(parts, form, monkeypatch):
    monkeypatch.setattr(microbatches, "_unrolled", getattr(microbatches, f"_{form}"))

    def loss_fn(weighted, params, x, labels, there):
        z = jnp.tanh(jnp.tanh(x @ params["w"]) @ params["w"])
        mask = masked_cross_entropy if weighted else cross_entropy
        return cross_entropy(z, labels), {"a": mask(z, labels, there)}

    params, labels = {"w": jnp.ones((64, 64))}, jnp.zeros(256, jnp.int32)
    operands = (params, jnp.ones((256, 64)), labels, labels == 0)

    def step(weighted, *args):
        function = multimodal_value_and_grad(partial(loss_fn, weighted), microbatches=parts)
        return function(*args)[:2]

    plain, weighted = (_flops(partial(step, flag), *operands) for flag in (False, True))
    np.testing.assert_allclose(weighted, plain, rtol=1e-3)
