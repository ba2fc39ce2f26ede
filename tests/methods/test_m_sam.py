"""M-SAM against NumPy, and what defines it: one encoder, that of the largest Shapley value."""

from __future__ import annotations

import functools
from typing import Any

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import multimodal_value_and_grad
from masam_jax.methods import Context, parse_method
from masam_jax.methods.m_sam import m_sam
from masam_jax.models.shapley import shapley_values
from tests.core.made_up_signals import CURVATURE, World, quadratic_gradient, vector
from tests.core.networks import encode, labels_of, late_fusion, loss_fn, objective
from tests.core.reference_network import Batch, draw_batches, initialise, nested
from tests.methods.m_sam_reference import reference_step, shapley

STEPS = 6
RATE = 0.1
NAMES = ("text", "audio", "video")
LABELS = {"audio": "audio", "text": "text", "video": "video", "other": "other"}
few = hypothesis.settings(max_examples=20)


@pytest.fixture(autouse=True)
def _64_bits(x64: None) -> None:
    return


# --- trajectories ---


def _shapley_signal(params: Any, batch: Batch) -> dict[str, jax.Array]:
    features = {m: encode(params, m, batch.inputs) for m in params["encoders"]}

    def value(present: frozenset[str]) -> jax.Array:
        masked = {m: z if m in present else jnp.zeros_like(z) for m, z in features.items()}
        return -objective(params, masked, batch.inputs, batch.labels)[0]

    return shapley_values(value, features)


@pytest.mark.parametrize(
    "count, dispatch, path, weight",
    [
        (1, "auto", "plain", 1.0),
        (2, "dense", "plain", 0.0),
        (2, "switch", "late_fusion", 0.7),
        (3, "dense", "late_fusion", 0.0),
        (3, "switch", "plain", 0.5),
    ],
)
def test_equals_the_reference(count: int, dispatch: Any, path: str, weight: float) -> None:
    dimensions = {m: 2 + i for i, m in enumerate(NAMES[:count])}
    weights = dict.fromkeys(dimensions, weight)
    parameters = initialise(count, dimensions)
    tx = optax.chain(
        m_sam(labels_of, rho=lambda t: 0.6 * 0.9 ** t.astype(jnp.float64), dispatch=dispatch),
        optax.sgd(RATE),
    )
    value_and_grad = multimodal_value_and_grad(
        loss_fn if path == "plain" else late_fusion(tuple(dimensions)), loss_weights=weights
    )

    @jax.jit
    def step(params: Any, state: Any, batch: Batch) -> tuple[Any, Any, Any]:
        _, grads, signals = value_and_grad(params, batch.inputs, batch.labels)
        values = _shapley_signal(params, batch)
        updates, state = tx.update(grads, state, params, shapley_values=values, **signals)
        return optax.apply_updates(params, updates), state, values

    params = jax.tree.map(jnp.asarray, nested(parameters))
    state = tx.init(params)
    seen = set()
    for t, batch in enumerate(draw_batches(count + 20, dimensions, steps=STEPS)):
        want = shapley(parameters, batch)
        parameters, dominant = reference_step(
            parameters, batch, want, rho=0.6 * 0.9**t, weights=weights, rate=RATE
        )
        seen.add(dominant)
        params, state, values = step(params, state, jax.tree.map(jnp.asarray, batch))
        assert sorted(dimensions)[int(state[0].dominant)] == dominant
        _assert_close(values, want)
        _assert_close(params, nested(parameters))
    assert len(seen) == min(count, 2), "the dominant modality never changes"


def _assert_close(got: Any, want: Any) -> None:
    chex.assert_trees_all_close(got, want, rtol=1e-10, atol=1e-10)


# --- the rule, on made-up signals whose corrections show ε ---


def _signals(fusion: Any, params: Any, values: dict[str, Any]) -> dict[str, Any]:
    gradient = quadratic_gradient(fusion, params)
    return {"fusion_grads": fusion, "fusion_grad_fn": gradient, "shapley_values": values}


@functools.cache
def _compiled(options: tuple[tuple[str, Any], ...]) -> Any:
    tx = m_sam(LABELS, **dict(options))

    @jax.jit
    def update(params: Any, grads: Any, fusion: Any, values: Any, extra: dict[str, Any]) -> Any:
        signals = _signals(fusion, params, values) | extra
        return tx.update(grads, tx.init(params), params, **signals)

    return update


def step(world: World, values: dict[str, float], **options: Any) -> tuple[Any, int]:
    """Updates, and the index of the dominant modality."""
    extra = {"present": options.pop("present")} if "present" in options else {}
    operands = jax.tree.map(jnp.asarray, (world.params, world.grads, world.fusion, values))
    updates, state = _compiled(tuple(options.items()))(*operands, extra)
    return updates, int(state.dominant)


def perturbed(world: World, updates: Any) -> list[str]:
    """The groups whose update is not the incoming one."""
    return [g for g in updates if not np.array_equal(vector(updates[g]), vector(world.grads[g]))]


VALUES = st.lists(st.floats(-5, 5), min_size=3, max_size=3)


@few
@hypothesis.given(st.integers(0, 2**32 - 1), VALUES, st.sampled_from(["dense", "switch"]))
def test_the_encoder_of_the_largest_value_alone_moves_uphill_by_rho(
    seed: int, drawn: list[float], dispatch: str
) -> None:
    world, names = World(seed), sorted(NAMES)
    values = dict(zip(names, drawn, strict=True))
    updates, dominant = step(world, values, rho=0.3, dispatch=dispatch)
    m = names[drawn.index(max(drawn))]
    assert (names[dominant], perturbed(world, updates)) == (m, [m])
    epsilon = (vector(updates[m]) - vector(world.grads[m])) / CURVATURE
    gradient = vector(world.fusion[m])
    np.testing.assert_allclose(epsilon, 0.3 * gradient / np.linalg.norm(gradient), atol=1e-12)


@pytest.mark.parametrize("m", NAMES)
def test_it_is_masam_without_its_scores(m: str) -> None:
    """The same correction as MASAM's of that modality whose radius no alignment scales."""
    world = World(7)
    updates, _ = step(world, {n: float(n == m) for n in NAMES}, rho=0.4)
    want, _ = world.step(rho=0.4, select=m, scale_by_alignment=False)
    np.testing.assert_allclose(vector(updates), vector(want), rtol=1e-10, atol=1e-10)


@few
@hypothesis.given(VALUES, st.floats(0.1, 10), st.floats(-3, 3))
def test_only_the_order_of_the_values_matters(
    drawn: list[float], factor: float, shift: float
) -> None:
    moved = [factor * value + shift for value in drawn]
    hypothesis.assume(np.argmax(moved) == np.argmax(drawn))  # but for rounding
    world = World(0)
    results = [step(world, dict(zip(sorted(NAMES), v, strict=True))) for v in (drawn, moved)]
    assert results[0][1] == results[1][1]
    chex.assert_trees_all_equal(results[0][0], results[1][0])


@pytest.mark.parametrize(
    "values, want",
    [
        ((1.0, 1.0, 1.0), "audio"),
        ((0.0, 2.0, 2.0), "text"),
        ((np.nan, -1.0, -2.0), "text"),
        ((np.inf, -1.0, np.nan), "text"),
        ((-np.inf, np.nan, -9.0), "video"),
    ],
)
@pytest.mark.parametrize("dispatch", ["dense", "switch"])
def test_ties_and_values_that_are_not_finite(
    values: tuple[float, ...], want: str, dispatch: str
) -> None:
    world = World(1)
    updates, dominant = step(
        world, dict(zip(sorted(NAMES), values, strict=True)), dispatch=dispatch
    )
    assert sorted(NAMES)[dominant] == want
    assert perturbed(world, updates) == [want]


def test_an_absent_modality_is_never_dominant() -> None:
    world = World(1)
    values = {"audio": 3.0, "text": 2.0, "video": 1.0}
    updates, dominant = step(world, values, present={"audio": jnp.asarray(False)})
    assert (dominant, perturbed(world, updates)) == (1, ["text"])
    nobody = dict.fromkeys(NAMES, jnp.asarray(False))
    updates, dominant = step(world, values, present=nobody)
    assert (dominant, perturbed(world, updates)) == (-1, [])


@pytest.mark.parametrize("dispatch", ["dense", "switch"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_without_a_finite_value_the_step_is_clean(value: float, dispatch: str) -> None:
    world = World(2)
    updates, dominant = step(world, dict.fromkeys(NAMES, value), dispatch=dispatch)
    assert (dominant, perturbed(world, updates)) == (-1, [])


@pytest.mark.parametrize("dispatch", ["dense", "switch"])
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_gradient_without_direction_gives_a_clean_step(value: float, dispatch: str) -> None:
    world = World(3)
    world.fusion["text"] = {k: np.full_like(g, value) for k, g in world.fusion["text"].items()}
    values = {"audio": 0.0, "text": 1.0, "video": 0.5}
    updates, dominant = step(world, values, dispatch=dispatch)
    assert (dominant, perturbed(world, updates)) == (1, [])


def test_without_a_radius_it_is_the_base_optimizer() -> None:
    world = World(4)
    updates, dominant = step(world, {"audio": 0.0, "text": 1.0, "video": 0.5}, rho=0.0)
    assert (dominant, perturbed(world, updates)) == (1, [])


@pytest.mark.parametrize("value", [1.0, np.nan])
def test_a_single_modality(value: float) -> None:
    """Always dominant, but for a value that is no number."""
    world = World(5, names=("text",))
    params, grads = jax.tree.map(jnp.asarray, (world.params, world.grads))
    tx = m_sam({"text": "text", "other": "other"})
    state = tx.init(params)
    assert int(state.dominant) == -1
    updates, state = tx.update(grads, state, params, **_signals(grads, params, {"text": value}))
    assert perturbed(world, updates) == (["text"] if value == 1 else [])
    assert int(state.count) == 1


# --- arguments ---


def _update(**signals: Any) -> Any:
    world = World(6)
    params, grads = jax.tree.map(jnp.asarray, (world.params, world.grads))
    tx = m_sam(LABELS)
    complete = _signals(grads, params, dict.fromkeys(NAMES, 1.0))
    return tx.update(grads, tx.init(params), signals.pop("params", params), **complete | signals)


@pytest.mark.parametrize("name", ["shapley_values", "fusion_grads", "fusion_grad_fn"])
def test_a_missing_signal_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"m_sam misses the signals \\['{name}'\\]"):
        _update(**{name: None})


@pytest.mark.parametrize(
    "signals, message",
    [
        ({"params": None}, "m_sam needs params"),
        ({"fusion_grad_fn": 3}, "fusion_grad_fn must be callable"),
        (
            {"shapley_values": {"audio": 1.0}},
            r"shapley_values has no entry for the modalities \['text', 'video'\]",
        ),
        ({"present": {"smell": True}}, r"unknown modalities \['smell'\]"),
    ],
)
def test_signals_are_checked(signals: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _update(**signals)


@pytest.mark.parametrize(
    "options", [{"rho": -1.0}, {"rho": np.inf}, {"dispatch": "host"}, {"dispatch": "fast"}]
)
def test_arguments_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        m_sam(LABELS, **options)


def test_labels_are_checked() -> None:
    with pytest.raises(ValueError, match="no modality"):
        m_sam({"a": "other"}).init({"a": jnp.zeros(2)})


def test_the_registered_method() -> None:
    method = parse_method("m_sam:rho=0.2,weight=1")
    assert (method.title, method.loss_weight) == ("M-SAM ρ=0.2 λ=1", 1)
    assert method.signals == ("shapley_values",)
    assert (parse_method("m_sam").title, parse_method("m_sam").loss_weight) == ("M-SAM ρ=0.05", 0)
    world = World(0)
    params, grads = jax.tree.map(jnp.asarray, (world.params, world.grads))
    tx = method.transformation(LABELS, Context())
    values = {"audio": 0.0, "text": 1.0, "video": 0.5}
    got, _ = tx.update(grads, tx.init(params), params, **_signals(grads, params, values))
    world.fusion = world.grads
    _assert_close(got, step(world, values, rho=0.2)[0])
    for option in ("rho", "weight"):
        with pytest.raises(ValueError, match=f"{option}=-1"):
            parse_method(f"m_sam:{option}=-1")
