"""ASAM against the paper's algorithm in NumPy, and what makes it adaptive: scale invariance."""

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

from masam_jax import multimodal_value_and_grad, sam
from masam_jax.methods import Context, parse_method
from masam_jax.methods.asam import asam
from tests.core.networks import labels_of, late_fusion, loss_fn
from tests.core.reference_network import Batch, draw_batches, initialise, nested
from tests.methods.asam_reference import reference_step

STEPS = 6
RATE = 0.05
TOLERANCE = 1e-10
NAMES = ("text", "audio", "video")
few = hypothesis.settings(max_examples=10)


@pytest.fixture(autouse=True)
def _64_bits(x64: None) -> None:
    return


@pytest.mark.parametrize(
    "count, path, eta", [(1, "plain", 0.01), (2, "late_fusion", 0.2), (3, "plain", 0.0)]
)
def test_equals_the_reference(count: int, path: str, eta: float) -> None:
    dimensions = {m: 2 + i for i, m in enumerate(NAMES[:count])}
    weights = {m: 0.4 + 0.3 * i for i, m in enumerate(dimensions)}
    parameters = initialise(count, dimensions)
    tx = optax.chain(
        asam(rho=lambda t: 0.5 * 0.8 ** t.astype(jnp.float64), eta=eta), optax.sgd(RATE)
    )
    value_and_grad = multimodal_value_and_grad(
        loss_fn if path == "plain" else late_fusion(tuple(dimensions)), loss_weights=weights
    )

    @jax.jit
    def step(params: Any, state: Any, batch: Batch) -> tuple[Any, Any]:
        _, grads, signals = value_and_grad(params, batch.inputs, batch.labels)
        updates, state = tx.update(grads, state, params, **signals)
        return optax.apply_updates(params, updates), state

    params = jax.tree.map(jnp.asarray, nested(parameters))
    state = tx.init(params)
    for t, batch in enumerate(draw_batches(count + 10, dimensions, steps=STEPS)):
        parameters = reference_step(
            parameters, batch, rho=0.5 * 0.8**t, eta=eta, weights=weights, rate=RATE
        )
        params, state = step(params, state, jax.tree.map(jnp.asarray, batch))
        chex.assert_trees_all_close(
            params,
            nested(parameters),
            rtol=TOLERANCE,
            atol=TOLERANCE,
            custom_message=f"step {t}",
        )


# --- properties of the perturbation ---


def perturbation(tx: Any, params: Any, grads: Any) -> Any:
    """The ε whose gradient is asked for."""
    asked = []

    def total_grad_fn(point: Any) -> Any:
        asked.append(jax.tree.map(lambda moved, p: np.asarray(moved - p), point, params))
        return grads

    tx.update(grads, tx.init(params), params, total_grads=grads, total_grad_fn=total_grad_fn)
    return asked[0]


def vector(tree: Any) -> np.ndarray:
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def draw(seed: int) -> tuple[Any, Any]:
    """Parameters and gradients of two layers, biases included."""
    generator = np.random.default_rng(seed)
    shapes = {"b1": (4,), "b2": (2,), "w1": (3, 4), "w2": (4, 2), "x": ()}
    params, grads = (
        {name: jnp.asarray(generator.normal(size=shape)) for name, shape in shapes.items()}
        for _ in range(2)
    )
    return params, grads


def operator(params: Any, eta: float) -> Any:
    return {
        name: np.abs(p) + eta if name in ("w1", "w2") else np.ones_like(p)
        for name, p in params.items()
    }


SEEDS = st.integers(0, 2**32 - 1)


@few
@hypothesis.given(SEEDS, st.floats(0.01, 3), st.floats(0, 1))
def test_the_radius_is_that_of_the_normalised_perturbation(
    seed: int, rho: float, eta: float
) -> None:
    params, grads = draw(seed)
    epsilon = perturbation(asam(rho=rho, eta=eta), params, grads)
    normalised = vector(epsilon) / vector(operator(params, eta))
    np.testing.assert_allclose(np.linalg.norm(normalised), rho, rtol=1e-9)


@few
@hypothesis.given(SEEDS)
def test_no_perturbation_of_that_radius_climbs_more(seed: int) -> None:
    """ε maximises the loss to first order over ‖T⁻¹ε‖ ≤ ρ, the paper's problem."""
    params, grads = draw(seed)
    epsilon = vector(perturbation(asam(rho=0.5, eta=0.1), params, grads))
    directions = np.random.default_rng(seed).normal(size=(200, epsilon.size))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    others = 0.5 * directions * vector(operator(params, 0.1))
    gradient = vector(grads)
    assert (others @ gradient).max() <= epsilon @ gradient
    np.testing.assert_allclose(
        epsilon @ gradient, 0.5 * np.linalg.norm(vector(operator(params, 0.1)) * gradient)
    )


def _rectifier_loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean((jax.nn.relu(x @ params["w1"]) @ params["w2"] - y) ** 2)


def _rescaled(tree: Any, factors: np.ndarray) -> Any:
    """Moves scale from the second layer into the first, another amount for every unit."""
    return {"w1": tree["w1"] * factors[None], "w2": tree["w2"] / factors[:, None]}


def _both_sides(tx: Any, seed: int, factors: np.ndarray) -> tuple[Any, Any, list[jax.Array]]:
    """ε rescaled, ε of the rescaled parameters, and the losses at both perturbed points."""
    generator = np.random.default_rng(seed)
    x, y = jnp.asarray(generator.normal(size=(8, 3))), jnp.asarray(generator.normal(size=(8, 2)))
    params = {name: p for name, p in draw(seed)[0].items() if name in ("w1", "w2")}
    other = _rescaled(params, factors)
    loss = [_rectifier_loss(p, x, y) for p in (params, other)]
    np.testing.assert_allclose(loss[1], loss[0], rtol=1e-9)
    gradient = jax.grad(_rectifier_loss)
    here, there = (perturbation(tx, p, gradient(p, x, y)) for p in (params, other))
    moved = [jax.tree.map(jnp.add, p, e) for p, e in ((params, here), (other, there))]
    return _rescaled(here, factors), there, [_rectifier_loss(point, x, y) for point in moved]


@few
@hypothesis.given(SEEDS, st.lists(st.floats(0.05, 20), min_size=4, max_size=4))
def test_scale_shared_otherwise_between_layers_is_the_same_perturbation(
    seed: int, factors: list[float]
) -> None:
    """With η = 0 the perturbation maps along with the parameters."""
    here, there, loss = _both_sides(asam(rho=0.5, eta=0.0), seed, np.asarray(factors))
    np.testing.assert_allclose(vector(there), vector(here), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(loss[1], loss[0], rtol=1e-8)


@pytest.mark.parametrize("tx", [sam(rho=0.5), asam(rho=0.5, eta=0.01)], ids=["sam", "asam with η"])
def test_nothing_else_here_is_scale_invariant(tx: Any) -> None:
    here, there, loss = _both_sides(tx, 0, np.asarray([0.1, 1.0, 5.0, 10.0]))
    assert not np.allclose(vector(there), vector(here), rtol=1e-2)
    assert not np.allclose(loss[0], loss[1], rtol=1e-2)


def test_biases_move_along_the_plain_gradient() -> None:
    params, grads = draw(0)
    epsilon = perturbation(asam(rho=0.5), params, grads)
    ratio = float(epsilon["x"] / grads["x"])
    for name in ("b1", "b2"):
        np.testing.assert_allclose(epsilon[name], ratio * grads[name], rtol=1e-12)
    for name in ("w1", "w2"):
        want = ratio * (np.abs(params[name]) + 0.01) ** 2 * grads[name]
        np.testing.assert_allclose(epsilon[name], want, rtol=1e-12)


def test_a_weight_of_zero_moves_by_eta_alone() -> None:
    params = {"w": jnp.asarray([[0.0, 2.0]])}
    grads = {"w": jnp.asarray([[3.0, 1.0]])}
    assert perturbation(asam(eta=0.0), params, grads)["w"][0, 0] == 0
    assert perturbation(asam(eta=0.01), params, grads)["w"][0, 0] > 0


# --- degenerate inputs ---


def corrected(tx: Any, params: Any, grads: Any, perturbed: Any) -> Any:
    updates, _ = tx.update(
        grads, tx.init(params), params, total_grads=grads, total_grad_fn=lambda point: perturbed
    )
    return updates


def test_without_a_radius_it_is_the_base_optimizer() -> None:
    params, grads = draw(1)
    off = jax.tree.map(lambda g: g + 1, grads)
    for got in (
        corrected(asam(rho=0.0), params, grads, off),
        corrected(asam(rho=lambda count: jnp.zeros(())), params, grads, off),
    ):
        chex.assert_trees_all_equal(got, grads)


@pytest.mark.parametrize("value", [0.0, np.inf, np.nan])
def test_a_gradient_without_direction_gives_a_clean_step(value: float) -> None:
    params, grads = draw(2)
    grads = jax.tree.map(lambda g: jnp.full_like(g, value), grads)
    got = corrected(asam(), params, grads, jax.tree.map(jnp.ones_like, grads))
    chex.assert_trees_all_equal(got, grads)
    np.testing.assert_array_equal(vector(perturbation(asam(), params, grads)), 0)


def test_weights_of_zero_without_eta_give_a_clean_step() -> None:
    params, grads = {"w": jnp.zeros((2, 2))}, {"w": jnp.ones((2, 2))}
    got = corrected(asam(eta=0.0), params, grads, {"w": 2 * jnp.ones((2, 2))})
    np.testing.assert_array_equal(got["w"], 1)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_perturbed_gradient_that_is_not_finite_is_not_used(bad: float) -> None:
    params, grads = draw(3)
    perturbed = {**jax.tree.map(lambda g: g + 1, grads), "x": jnp.asarray(bad)}
    got = corrected(asam(), params, grads, perturbed)
    chex.assert_trees_all_equal(got, grads)


# --- arguments ---


@pytest.mark.parametrize(
    "name, value",
    [(n, v) for n in ("rho", "eta") for v in (-1.0, np.inf, np.nan, True, "1", np.ones(2), None)],
)
def test_arguments_out_of_range(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{name} must be"):
        asam(**{name: value})


def test_params_and_the_signal_are_needed() -> None:
    params, grads = draw(4)
    tx = asam()
    with pytest.raises(ValueError, match="asam needs params"):
        tx.update(grads, tx.init(params), None, total_grad_fn=lambda point: grads)
    with pytest.raises(ValueError, match=r"asam misses the signals .'total_grad_fn'."):
        tx.update(grads, tx.init(params), params)
    with pytest.raises(ValueError, match="multi_transform"):
        tx.init({"a": optax.MaskedNode(), "b": jnp.zeros(2)})


def test_the_registered_method() -> None:
    method = parse_method("asam:rho=0.2,eta=0,weight=0")
    assert (method.title, method.loss_weight, method.signals) == ("ASAM ρ=0.2, η=0 λ=0", 0, ())
    assert parse_method("asam").title == "ASAM ρ=0.5"
    params, grads = draw(5)
    tx = method.transformation(labels_of, Context())
    want = perturbation(asam(rho=0.2, eta=0.0), params, grads)
    chex.assert_trees_all_equal(perturbation(tx, params, grads), want)
    for option in ("rho", "eta", "weight"):
        with pytest.raises(ValueError, match=f"{option}=-1"):
            parse_method(f"asam:{option}=-1")
