"""γ at the features, or of a part of the batch: against NumPy in 64 bits, and what it costs."""

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
from masam_jax.methods import parse_method
from tests.core.networks import labels_of, late_fusion, loss_fn
from tests.core.reference import MasamReference, Momentum, PeriodicReference
from tests.core.reference_network import Batch, draw_batches, initialise, nested

NAMES = ("audio", "text", "video")
DIMENSIONS = {m: 2 + i for i, m in enumerate(NAMES)}
STEPS = 12
FEATURES_GAP, PART_GAP = 0.176, 0.223
RULE: dict[str, Any] = {"rho": 0.5, "alpha": 0.6, "beta": 0.8}
FEATURES: dict[str, Any] = {"alignment": "features"}
PART: dict[str, Any] = {"alignment_part": 3}
CASES: list[dict[str, Any]] = [
    {},
    {"clip_negative": True, "correct_other": True},
    {"radius": "relative", "direction": "total"},
    {"select": "all"},
    {"perturb_every": 3, "reuse": "orthogonal"},
    {"perturb_every": 3, "reuse": "lazy", "correct_other": True},
    {"radius": "filter", "eta": 0.02},
    {"select": "soft", "temperature": 0.3},
]


def ids(options: dict[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in options.items()) or "default"


@functools.cache
def batches() -> list[Batch]:
    return draw_batches(5, DIMENSIONS, steps=STEPS)


def reference_of(options: dict[str, Any]) -> MasamReference:
    kind = PeriodicReference if "perturb_every" in options else MasamReference
    return kind(Momentum(0.03, 0.9), **RULE, **options)


WAYS = [
    *((FEATURES | options, way) for options in CASES for way in ("switch", "dense", "untraced")),
    *((FEATURES | options, "microbatches") for options in CASES[:2]),
    *((PART | options, "switch") for options in CASES),
    *((PART | options, way) for options in CASES[:2] for way in ("dense", "untraced")),
    (PART | {"alignment": "per_tensor"}, "switch"),
]


@pytest.mark.parametrize("options, way", WAYS, ids=lambda x: x if isinstance(x, str) else ids(x))
def test_steps_are_those_of_the_reference(x64: None, options: dict[str, Any], way: str) -> None:
    expected = initialise(3, DIMENSIONS)
    reference = reference_of(options)
    part = options.get("alignment_part", 1)
    options = {name: value for name, value in options.items() if name != "alignment_part"}
    base = optax.sgd(0.03, momentum=0.9)
    dispatch = way if way in ("switch", "dense") else "auto"
    tx = masam(labels_of, **RULE, **options, dispatch=dispatch)
    tx = optax.chain(tx, optax.with_extra_args_support(base))
    parts = 2 if way == "microbatches" else 1
    value_and_grad = multimodal_value_and_grad(
        late_fusion(NAMES), microbatches=parts, alignment_part=part
    )
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


@pytest.mark.parametrize(
    "options, mean", [(FEATURES, FEATURES_GAP), (PART, PART_GAP)], ids=["features", "part"]
)
def test_it_differs_from_the_exact_rule(options: dict[str, Any], mean: float) -> None:
    """By as much as docs/cost.md says."""
    parameters = initialise(3, DIMENSIONS)
    gaps = []
    exact = MasamReference(Momentum(0.03, 0.9), **RULE)
    approximate = MasamReference(Momentum(0.03, 0.9), **RULE, **options)
    for batch in batches():
        _, other = approximate.step(parameters, batch)
        parameters, record = exact.step(parameters, batch)
        gaps += [other.alignment[m] - record.alignment[m] for m in NAMES]
    np.testing.assert_allclose(np.abs(gaps).mean(), mean, atol=0.01)


@pytest.mark.parametrize("dispatch", ["switch", "dense"])
@pytest.mark.parametrize("alignment, part", [("features", 1), ("partition", 3)])
def test_devices_agree_with_one(dispatch: Any, alignment: Any, part: int) -> None:
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    tx = masam(labels_of, **RULE, alignment=alignment, dispatch=dispatch)
    params = jax.tree.map(jnp.float32, nested(initialise(3, DIMENSIONS)))
    batch = batches()[0]
    inputs = {m: jnp.asarray(x, jnp.float32) for m, x in batch.inputs.items()}
    state = tx.init(params)

    def update(params: Any, state: Any, inputs: Any, labels: Any, axis_name: Any) -> Any:
        value_and_grad = multimodal_value_and_grad(
            late_fusion(NAMES), axis_name=axis_name, alignment_part=part
        )
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
    tx = masam(labels_of, **RULE, **FEATURES, dispatch="switch")
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

    fusion = LateFusion({m: functools.partial(encode, m) for m in names}, objective)
    params = {
        "encoders": {m: [jnp.zeros((width, width))] * depth for m in names},
        "head": jnp.zeros((width, 1)),
    }

    def flops(tx: Any, part: int = 1) -> float:
        value_and_grad = multimodal_value_and_grad(fusion, alignment_part=part)

        def step(params: Any, state: Any, x: Any) -> Any:
            _, grads, signals = value_and_grad(params, x)
            return tx.update(grads, state, params, **signals)

        tx = optax.with_extra_args_support(tx)
        lowered = jax.jit(step).lower(params, tx.init(params), jnp.zeros((256, width)))
        return lowered.compile().cost_analysis()["flops"]

    late = flops(optax.identity())
    features = flops(masam(labels_of, alignment="features", dispatch="switch")) / late
    np.testing.assert_allclose(features, (3 * count + 5) / (3 * count), rtol=0.06)
    part = flops(masam(labels_of, dispatch="switch"), part=8) / late
    np.testing.assert_allclose(part, (3 * count + 5 + 5 * count / 8) / (3 * count), rtol=0.06)


def test_a_plain_loss_has_no_features() -> None:
    tx = masam(labels_of, **RULE, **FEATURES)
    params = jax.tree.map(jnp.float32, nested(initialise(3, DIMENSIONS)))
    batch = batches()[0]
    inputs = {m: jnp.asarray(x, jnp.float32) for m, x in batch.inputs.items()}
    _, grads, signals = multimodal_value_and_grad(loss_fn)(
        params, inputs, jnp.asarray(batch.labels)
    )
    with pytest.raises(ValueError, match=r"feature_products, which .* gives of a LateFusion"):
        tx.update(grads, tx.init(params), params, **signals)


def test_a_part_is_refused_where_it_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="alignment_part needs a LateFusion, got a plain loss_fn"):
        multimodal_value_and_grad(loss_fn, alignment_part=2)
    with pytest.raises(ValueError, match="alignment_part must be an integer >= 1, got 0"):
        multimodal_value_and_grad(late_fusion(NAMES), alignment_part=0)
    with pytest.raises(ValueError, match="alignment_part=2 and alignment=features exclude"):
        parse_method("masam:alignment=features,alignment_part=2")
    params = jax.tree.map(jnp.float32, nested(initialise(3, DIMENSIONS)))
    batch = batches()[0]
    inputs = {m: jnp.asarray(x, jnp.float32) for m, x in batch.inputs.items()}
    value_and_grad = multimodal_value_and_grad(late_fusion(NAMES), alignment_part=2)
    _, grads, signals = value_and_grad(params, inputs, jnp.asarray(batch.labels))
    tx = masam(labels_of, **RULE, **FEATURES)
    with pytest.raises(ValueError, match="use one of the two"):
        tx.update(grads, tx.init(params), params, **signals)
