"""MMPareto against a NumPy reference, and the directions that it promises."""

from __future__ import annotations

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
from masam_jax.methods import Context, get_method, parse_method
from masam_jax.methods.mmpareto import MMParetoOptions, mmpareto
from tests.core.networks import labels_of, loss_fn
from tests.core.reference import Momentum
from tests.core.reference_network import Array, draw_batches, initialise, nested
from tests.methods.mmpareto_reference import join, reference_gradient

GAMMA = 1.5
STEPS = 12


@pytest.mark.parametrize("count, weight", [(1, 1.0), (2, 1.0), (2, 0.4), (3, 1.0)])
def test_trajectory_of_the_reference(x64: None, count: int, weight: float) -> None:
    names = ("text", "audio", "video")[:count]
    dimensions = {m: 3 + i for i, m in enumerate(names)}
    parameters = initialise(5, dimensions)
    batches = draw_batches(6, dimensions, steps=STEPS)
    base = Momentum(0.05, 0.9)
    tx = optax.chain(mmpareto(labels_of), optax.sgd(0.05, momentum=0.9))
    value_and_grad = multimodal_value_and_grad(loss_fn, loss_weights=dict.fromkeys(names, weight))

    @jax.jit
    def step(params: Any, state: Any, batch: Any) -> Any:
        _, grads, signals = value_and_grad(params, batch.inputs, batch.labels)
        updates, state = tx.update(grads, state, params, **signals)
        return optax.apply_updates(params, updates), state

    params = jax.tree.map(jnp.asarray, nested(parameters))
    state, signs = tx.init(params), set()
    for batch in batches:
        gradient, cosines = reference_gradient(parameters, batch, weight)
        signs |= {cosine > 0 for cosine in cosines.values()}
        parameters = {k: parameters[k] + change for k, change in base(gradient).items()}
        params, state = step(params, state, jax.tree.map(jnp.asarray, batch))
        chex.assert_trees_all_close(params, nested(parameters), rtol=1e-10, atol=1e-10)
    assert signs == {True, False}, "the trajectory meets conflict and agreement"


# --- what the direction promises ---

LABELS = {"audio": "audio", "video": "video", "head": "other"}
SIZE = 6


def tree_of(audio: Array, video: Array) -> dict[str, Any]:
    encoders = {
        m: {"b": x[:2], "w": x[2:].reshape(2, -1)} for m, x in [("audio", audio), ("video", video)]
    }
    return {**encoders, "head": np.full(2, 7.0, audio.dtype)}


def vector_of(tree: Any) -> Array:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)]).astype(np.float64)


@jax.jit
def _update(updates: Any, signals: Any) -> Any:
    tx = mmpareto(LABELS)
    return tx.update(updates, tx.init(updates), updates, **signals)[0]


def update_of(fusion: Array, unimodal: Array, scale: float = 1.0) -> Array:
    """The update of ``audio``, ``scale`` times the total gradient having come in."""
    other = np.linspace(-1.0, 2.0, SIZE).astype(fusion.dtype)
    f, u = tree_of(fusion, other), tree_of(unimodal, other[::-1])
    total = jax.tree.map(lambda a, b: a + b, f, u)
    updates = jax.tree.map(lambda x: x * np.asarray(scale, x.dtype), total)
    signals = {"fusion_grads": f, "unimodal_grads": u, "total_grads": total}
    result = jax.device_get(_update(updates, signals))
    np.testing.assert_array_equal(result["head"], updates["head"])
    if scale == 1:
        want = join(other.astype(float), other[::-1].astype(float))
        tolerance = max(1e-5, float(2 * jnp.finfo(fusion.dtype).eps))
        np.testing.assert_allclose(vector_of(result["video"]), want, rtol=tolerance, atol=tolerance)
    return vector_of(result["audio"])


@st.composite
def gradients(draw: Any) -> tuple[Array, Array]:
    """Two gradients at any angle, from nearly opposite to aligned, of unlike lengths."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    f, noise = generator.standard_normal((2, SIZE))
    along = draw(st.floats(-1, 1)) * 10.0 ** draw(st.integers(-3, 3))
    return f, along * f + 10.0 ** draw(st.floats(-5, 2)) * noise


@hypothesis.settings(max_examples=150)
@hypothesis.given(gradients())
def test_neither_loss_rises_to_first_order(pair: tuple[Array, Array]) -> None:
    f, u = pair
    with jax.enable_x64(True):
        g = update_of(f, u)
    length = np.linalg.norm(g)
    assert g @ f >= -1e-7 * length * np.linalg.norm(f)
    assert g @ u >= -1e-7 * length * np.linalg.norm(u)
    np.testing.assert_allclose(g, join(f, u), rtol=1e-6, atol=1e-6 * length)


@hypothesis.settings(max_examples=60)
@hypothesis.given(gradients())
def test_neither_loss_rises_in_32_bits(pair: tuple[Array, Array]) -> None:
    f, u = (vector.astype(np.float32) for vector in pair)
    g = update_of(f, u)
    for loss_gradient in (f, u):
        product = np.linalg.norm(g) * np.linalg.norm(loss_gradient.astype(float))
        assert g @ loss_gradient.astype(float) >= -2e-3 * product


@hypothesis.settings(max_examples=60)
@hypothesis.given(gradients())
def test_the_magnitude_is_that_of_the_sum(pair: tuple[Array, Array]) -> None:
    f, u = pair
    with jax.enable_x64(True):
        g = update_of(f, u)
    np.testing.assert_allclose(np.linalg.norm(g), GAMMA * np.linalg.norm(f + u), rtol=1e-9)


def test_aligned_gradients_are_summed_and_conflicting_ones_are_orthogonal_to_the_difference():
    f = np.asarray([1.0, 2, 0, 0, 0, 1], np.float32)
    u = np.asarray([1.0, 0, 0, 3, 0, 0], np.float32)
    np.testing.assert_allclose(update_of(f, u), GAMMA * (f + u), rtol=1e-6)
    u = np.asarray([-4.0, 1, 0, 0, 0, 0], np.float32)
    g = update_of(f, u)
    assert f @ u < 0
    np.testing.assert_allclose(g @ (f - u), 0, atol=1e-5)
    assert g @ f > 0.5


def test_orthogonal_gradients_take_the_shortest_combination():
    """The paper averages where cos > 0 alone."""
    f, u = np.zeros((2, SIZE), np.float32)
    f[0], u[1] = 1, 2
    direction = np.asarray([4.0, 2, 0, 0, 0, 0]) / np.sqrt(20)
    np.testing.assert_allclose(update_of(f, u), GAMMA * np.sqrt(5) * direction, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-35, 1e-20, 1.0, 1e20, 1e37])
@pytest.mark.parametrize("ratio", [0.0, -1.0, -0.3, -np.pi])
def test_opposite_and_zero_gradients_leave_the_encoder_where_it_is(
    scale: float, ratio: float
) -> None:
    f = (scale * np.asarray([0.1, 0.7, -1.3, 2.1, 0.9, -0.4])).astype(np.float32)
    u = (np.float32(ratio) * f).astype(np.float32)
    for pair in [(f, u), (u, f)]:
        np.testing.assert_array_equal(update_of(*pair), 0)
    np.testing.assert_array_equal(update_of(u * 0, u * 0), 0)


@pytest.mark.parametrize("apart, survives", [(1e-4, False), (1e-2, True)])
def test_nearly_opposite_gradients_have_a_direction_above_the_rounding_error(
    apart: float, survives: bool
) -> None:
    """Its square root is 3e-4 in 32 bits."""
    f = np.asarray([1.0, 0, 0, 0, 0, 0], np.float32)
    u = np.asarray([-1.0, apart, 0, 0, 0, 0], np.float32)
    want = join(f.astype(float), u.astype(float)) if survives else np.zeros(SIZE)
    for pair in [(f, u), (u, f)]:
        np.testing.assert_allclose(update_of(*pair), want, rtol=1e-3, atol=1e-6 * survives)


@pytest.mark.parametrize("scale", [1e-30, 1e-4, 1e4, 1e30])
def test_gradients_of_any_magnitude(scale: float) -> None:
    f, u = np.random.default_rng(2).standard_normal((2, SIZE)).astype(np.float32)
    u -= f
    assert f @ u < 0
    got = update_of(f * np.float32(scale), u * np.float32(scale))
    np.testing.assert_allclose(got / scale, update_of(f, u), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tiny", [1e-6, 1e-20, 1e-32])
def test_conflict_of_gradients_of_very_unlike_lengths(tiny: float) -> None:
    """The direction is that of the part of the small one orthogonal to the large one."""
    f, u = np.random.default_rng(7).standard_normal((2, SIZE))
    u *= -np.sign(f @ u)
    want = f - (f @ u) / (u @ u) * u
    want *= GAMMA * np.linalg.norm(u) / np.linalg.norm(want)
    small, large = (tiny * f).astype(np.float32), u.astype(np.float32)
    for pair in [(small, large), (large, small)]:
        np.testing.assert_allclose(update_of(*pair), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [3e38, np.inf, np.nan])
def test_a_correction_that_is_not_finite_leaves_the_update(value: float) -> None:
    f, u = np.ones((2, SIZE), np.float32)
    u[0] = value
    with np.errstate(invalid="ignore"):
        total = (f + u).astype(float)
    np.testing.assert_array_equal(update_of(f, u), total)


def test_what_came_in_stays_beside_the_correction():
    """A chain's earlier modulation is kept: the new gradient replaces the total one."""
    f, u = np.random.default_rng(3).standard_normal((2, SIZE)).astype(np.float32)
    got = update_of(f, u, scale=0.25)
    np.testing.assert_allclose(got, update_of(f, u) - 0.75 * (f + u), rtol=1e-5, atol=1e-5)


def test_low_precision_is_accumulated_in_32_bits():
    f, u = np.random.default_rng(4).standard_normal((2, SIZE)).astype(jnp.bfloat16)
    u = u - f
    want = join(f.astype(float), u.astype(float))
    np.testing.assert_allclose(update_of(f, u), want, atol=0.02 * np.linalg.norm(want))


def _signals(seed: int) -> tuple[Any, dict[str, Any]]:
    generator = np.random.default_rng(seed)
    trees = [tree_of(*generator.standard_normal((2, SIZE)).astype(np.float32)) for _ in range(3)]
    updates, f, u = jax.tree.map(jnp.asarray, trees)
    return updates, {"fusion_grads": f, "unimodal_grads": u}


def test_each_encoder_meets_its_own_gradients_alone():
    updates, signals = _signals(0)
    want = _update(updates, signals)
    changed = jax.tree.map(lambda x: x, signals)
    changed["unimodal_grads"]["video"] = jax.tree.map(jnp.negative, updates["video"])
    got = _update(updates, changed)
    chex.assert_trees_all_equal(got["audio"], want["audio"])
    assert (got["video"]["b"] != want["video"]["b"]).any()


def test_updates_stand_in_for_the_total_gradient():
    updates, signals = _signals(0)
    want = _update(updates, {**signals, "total_grads": updates})
    chex.assert_trees_all_equal(_update(updates, signals), want)


def test_shared_parameters_have_a_gradient_for_each_modality():
    updates, signals = _signals(0)
    each = {"audio": _signals(1)[1]["unimodal_grads"], "video": signals["unimodal_grads"]}
    mixed = {**signals["unimodal_grads"], "audio": each["audio"]["audio"]}
    got = _update(updates, {**signals, "per_modality_grads": each})
    chex.assert_trees_all_equal(got, _update(updates, {**signals, "unimodal_grads": mixed}))


@pytest.mark.parametrize("empty", [{}, {"w": jnp.zeros((0, 3), jnp.float32)}], ids=["no", "zero"])
def test_a_modality_without_parameters(empty: Any) -> None:
    updates, signals = _signals(0)
    want = _update(updates, signals)
    emptied = {name: {**tree, "video": empty} for name, tree in signals.items()}
    got = _update({**updates, "video": empty}, emptied)
    chex.assert_trees_all_equal(got["audio"], want["audio"])


# --- mistakes, and the registry ---


@pytest.mark.parametrize("gamma", [0, -1.5, np.nan, np.inf, "1.5", None, True, jnp.ones(2)])
def test_gamma_is_checked(gamma: Any) -> None:
    with pytest.raises(ValueError, match="gamma must be a finite number > 0, got "):
        mmpareto(LABELS, gamma=gamma)


@pytest.mark.parametrize("name", ["fusion_grads", "unimodal_grads"])
def test_signals_are_checked(name: str) -> None:
    updates, signals = _signals(0)
    tx = mmpareto(LABELS)
    state = tx.init(updates)
    missing = {k: v for k, v in signals.items() if k != name}
    with pytest.raises(ValueError, match=rf"mmpareto misses the signals \['{name}'\]"):
        tx.update(updates, state, updates, **missing)
    with pytest.raises(ValueError, match=f"{name} must have the structure of params"):
        tx.update(updates, state, updates, **{**signals, name: [1.0]})
    with pytest.raises(ValueError, match="mmpareto needs params"):
        tx.update(updates, state, **signals)


def test_labels_without_a_modality():
    with pytest.raises(ValueError, match="name no modality"):
        mmpareto("other").init({"w": jnp.ones(2, jnp.float32)})


def test_registration():
    method = parse_method("mmpareto")
    assert (method.options, method.loss_weight) == (MMParetoOptions(gamma=1.5), 1.0)
    assert method.title == "MMPareto γ=1.5"
    changed = parse_method("mmpareto:gamma=2,weight=0.5")
    assert (changed.title, changed.loss_weight) == ("MMPareto γ=2 λ=0.5", 0.5)
    assert get_method("mmpareto").signals == ()
    updates, signals = _signals(0)
    tx = changed.transformation(LABELS, Context())
    got, _ = tx.update(updates, tx.init(updates), updates, **signals)
    tx = mmpareto(LABELS, gamma=jnp.float32(2))
    want, _ = tx.update(updates, tx.init(updates), updates, **signals)
    chex.assert_trees_all_equal(got, want)
    for option in ("gamma=0", "gamma=inf", "weight=-1", "weight=nan"):
        with pytest.raises(ValueError, match="is out of range"):
            parse_method(f"mmpareto:{option}")
