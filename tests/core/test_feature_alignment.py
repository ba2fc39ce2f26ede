"""γ from gradients at the features: against NumPy in 64 bits, and what it costs."""

from __future__ import annotations

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, PartitionSpec

from masam_jax import LateFusion, masam, masam_metrics, multimodal_value_and_grad, refresh_cycle
from tests.core.networks import labels_of, late_fusion, loss_fn
from tests.core.reference import MasamReference, Momentum, PeriodicReference
from tests.core.reference_network import Batch, draw_batches, initialise, nested

NAMES = ("audio", "text", "video")
DIMENSIONS = {m: 2 + i for i, m in enumerate(NAMES)}
STEPS = 12
RULE: dict[str, Any] = {"rho": 0.5, "alpha": 0.6, "beta": 0.8, "alignment": "features"}
CASES: list[dict[str, Any]] = [
    {},
    {"clip_negative": True, "correct_other": True},
    {"radius": "relative", "direction": "total"},
    {"select": "all"},
    {"perturb_every": 3, "reuse": "orthogonal"},
    {"perturb_every": 3, "reuse": "lazy", "correct_other": True},
]


def ids(options: dict[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in options.items()) or "default"


@functools.cache
def batches() -> list[Batch]:
    return draw_batches(5, DIMENSIONS, steps=STEPS)


def reference_of(options: dict[str, Any]) -> MasamReference:
    kind = PeriodicReference if "perturb_every" in options else MasamReference
    return kind(Momentum(0.03, 0.9), **RULE, **options)


@pytest.mark.parametrize("way", ["switch", "dense", "microbatches", "untraced"])
@pytest.mark.parametrize("options", CASES, ids=ids)
def test_steps_are_those_of_the_reference(x64: None, options: dict[str, Any], way: str) -> None:
    expected = initialise(3, DIMENSIONS)
    reference = reference_of(options)
    base = optax.sgd(0.03, momentum=0.9)
    dispatch = way if way in ("switch", "dense") else "auto"
    tx = masam(labels_of, **RULE, **options, dispatch=dispatch)
    tx = optax.chain(tx, optax.with_extra_args_support(base))
    parts = 2 if way == "microbatches" else 1
    value_and_grad = multimodal_value_and_grad(late_fusion(NAMES), microbatches=parts)
    cycle = refresh_cycle(options.get("perturb_every", 1))

    def update(params: Any, state: Any, batch: Any, refresh: Any) -> tuple[Any, Any]:
        _, grads, signals = value_and_grad(params, batch.inputs, batch.labels)
        updates, state = tx.update(grads, state, params, **signals, refresh=refresh)
        return optax.apply_updates(params, updates), state

    step = update if way == "untraced" else jax.jit(update, static_argnames="refresh")
    params = jax.tree.map(jnp.asarray, nested(expected))
    state = tx.init(params)
    for t, batch in enumerate(batches()):
        expected, record = reference.step(expected, batch)
        batch = jax.tree.map(jnp.asarray, batch)
        params, state = step(params, state, batch, cycle[t % len(cycle)])
        chex.assert_trees_all_close(params, nested(expected), rtol=1e-9, atol=1e-10)
        metrics = masam_metrics(state)
        for m in NAMES:
            np.testing.assert_allclose(metrics[f"alignment/{m}"], record.alignment[m], rtol=1e-8)


def test_it_differs_from_the_exact_rule() -> None:
    """By as much as docs/cost.md says."""
    parameters = initialise(3, DIMENSIONS)
    gaps = []
    exact = MasamReference(Momentum(0.03, 0.9), **RULE | {"alignment": "partition"})
    features = MasamReference(Momentum(0.03, 0.9), **RULE)
    for batch in batches():
        _, by_features = features.step(parameters, batch)
        parameters, by_partition = exact.step(parameters, batch)
        gaps += [by_features.alignment[m] - by_partition.alignment[m] for m in NAMES]
    np.testing.assert_allclose(np.abs(gaps).mean(), 0.176, atol=0.01)


@pytest.mark.parametrize("dispatch", ["switch", "dense"])
def test_devices_agree_with_one(dispatch: Any) -> None:
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    tx = masam(labels_of, **RULE, dispatch=dispatch)
    params = jax.tree.map(jnp.float32, nested(initialise(3, DIMENSIONS)))
    batch = batches()[0]
    inputs = {m: jnp.asarray(x, jnp.float32) for m, x in batch.inputs.items()}
    state = tx.init(params)

    def update(params: Any, state: Any, inputs: Any, labels: Any, axis_name: Any) -> Any:
        value_and_grad = multimodal_value_and_grad(late_fusion(NAMES), axis_name=axis_name)
        _, grads, signals = value_and_grad(params, inputs, labels)
        return tx.update(grads, state, params, **signals)

    one = jax.jit(functools.partial(update, axis_name=None))
    many = jax.jit(
        jax.shard_map(
            functools.partial(update, axis_name="data"),
            mesh=mesh,
            in_specs=(
                PartitionSpec(),
                PartitionSpec(),
                PartitionSpec("data"),
                PartitionSpec("data"),
            ),
            out_specs=PartitionSpec(),
        )
    )
    operands = (params, state, inputs, jnp.asarray(batch.labels))
    chex.assert_trees_all_close(many(*operands), one(*operands), rtol=1e-4, atol=1e-5)


def test_nobody_present_leaves_the_step_clean() -> None:
    tx = masam(labels_of, **RULE, dispatch="switch")
    params = jax.tree.map(jnp.float32, nested(initialise(3, DIMENSIONS)))
    batch = batches()[0]
    inputs = {m: jnp.asarray(x, jnp.float32) for m, x in batch.inputs.items()}

    @jax.jit
    def update(params: Any, present: Any) -> Any:
        value_and_grad = multimodal_value_and_grad(late_fusion(NAMES))
        _, grads, signals = value_and_grad(params, inputs, jnp.asarray(batch.labels))
        return grads, tx.update(grads, tx.init(params), params, **signals, present=present)

    grads, (updates, state) = update(params, dict.fromkeys(NAMES, jnp.asarray(False)))
    chex.assert_trees_all_equal(updates, grads)
    assert masam_metrics(state)["dominant"] is None


@pytest.mark.parametrize("count", [2, 3, 6])
def test_scores_need_no_second_pullback(count: int) -> None:
    """Forward and one pullback, then the dominant encoder's second, and its own two passes."""
    names, width, depth = tuple(f"m{i}" for i in range(count)), 32, 8

    def encode(m: str, params: Any, x: Any) -> jax.Array:
        for weights in params["encoders"][m]:
            x = jnp.maximum(x @ weights, jnp.float32(0))
        return x

    def objective(params: Any, features: Any, x: Any) -> Any:
        del x
        fused = functools.reduce(jnp.multiply, features.values())
        return jnp.mean((fused @ params["head"]) ** 2), {
            m: jnp.mean((z @ params["head"]) ** 2) for m, z in features.items()
        }

    value_and_grad = multimodal_value_and_grad(
        LateFusion({m: functools.partial(encode, m) for m in names}, objective)
    )
    params = {
        "encoders": {m: [jnp.zeros((width, width))] * depth for m in names},
        "head": jnp.zeros((width, 1)),
    }

    def flops(tx: Any) -> float:
        def step(params: Any, state: Any, x: Any) -> Any:
            _, grads, signals = value_and_grad(params, x)
            return tx.update(grads, state, params, **signals)

        tx = optax.with_extra_args_support(tx)
        lowered = jax.jit(step).lower(params, tx.init(params), jnp.zeros((256, width)))
        return lowered.compile().cost_analysis()["flops"]

    ratio = flops(masam(labels_of, alignment="features", dispatch="switch"))
    ratio /= flops(optax.identity())
    np.testing.assert_allclose(ratio, (3 * count + 5) / (3 * count), rtol=0.06)


def test_a_plain_loss_has_no_features() -> None:
    tx = masam(labels_of, **RULE)
    params = jax.tree.map(jnp.float32, nested(initialise(3, DIMENSIONS)))
    batch = batches()[0]
    inputs = {m: jnp.asarray(x, jnp.float32) for m, x in batch.inputs.items()}
    _, grads, signals = multimodal_value_and_grad(loss_fn)(
        params, inputs, jnp.asarray(batch.labels)
    )
    with pytest.raises(ValueError, match=r"feature_products, which .* gives of a LateFusion"):
        tx.update(grads, tx.init(params), params, **signals)
