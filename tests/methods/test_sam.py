"""SAM against its equation in NumPy, and what it does where the equation says nothing."""

from __future__ import annotations

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import multimodal_value_and_grad, sam
from masam_jax.methods import Context, parse_method
from tests.core.networks import labels_of, late_fusion, loss_fn
from tests.core.reference_network import Batch, draw_batches, initialise, nested
from tests.methods.sam_reference import reference_step

RATE = 0.05
NAMES = ("text", "audio", "video")
# Two matrices and a vector; gradients at θ, and the updates that came in.
PARAMS, GRADS, INCOMING = (
    {name: np.random.default_rng(seed).normal(size=size) for name, size in shapes.items()}
    for seed, shapes in enumerate(3 * [{"b": (4,), "v": (4, 2), "w": (3, 4)}])
)
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@pytest.fixture(autouse=True)
def _64_bits(x64: None) -> None:
    return


@pytest.mark.parametrize("count, path", [(1, "plain"), (2, "late_fusion"), (3, "plain")])
def test_trajectory_of_the_reference(count: int, path: str) -> None:
    dimensions = {m: 2 + i for i, m in enumerate(NAMES[:count])}
    weights = {m: 0.4 + 0.3 * i for i, m in enumerate(dimensions)}
    expected = initialise(count, dimensions)
    tx = optax.chain(sam(rho=lambda t: 0.6 * 0.8 ** t.astype(jnp.float64)), optax.sgd(RATE))
    value_and_grad = multimodal_value_and_grad(
        loss_fn if path == "plain" else late_fusion(tuple(dimensions)), loss_weights=weights
    )

    @jit
    def step(params: Any, state: Any, batch: Batch) -> tuple[Any, Any]:
        _, grads, signals = value_and_grad(params, batch.inputs, batch.labels)
        updates, state = tx.update(grads, state, params, **signals)
        return optax.apply_updates(params, updates), state

    params = jax.tree.map(jnp.asarray, nested(expected))
    state = tx.init(params)
    for t, batch in enumerate(draw_batches(count + 30, dimensions, steps=6)):
        expected = reference_step(expected, batch, rho=0.6 * 0.8**t, weights=weights, rate=RATE)
        params, state = step(params, state, jax.tree.map(jnp.asarray, batch))
        chex.assert_trees_all_close(params, nested(expected), rtol=1e-10, atol=1e-10)


def updated(tx: Any, grads: Any, gradient_at: Any, **signals: Any) -> Any:
    """What becomes of ``INCOMING``."""
    params, incoming = jax.tree.map(jnp.asarray, (PARAMS, INCOMING))
    return tx.update(incoming, tx.init(params), params, total_grad_fn=gradient_at, **signals)[0]


def cube(point: Any) -> Any:
    return jax.tree.map(lambda x: x**3, point)


@pytest.mark.parametrize("stand_in", [False, True], ids=["total_grads", "updates"])
def test_the_correction_is_the_change_on_the_way_uphill(stand_in: bool) -> None:
    """What earlier transformations made of the update stays beside it."""
    clean = INCOMING if stand_in else GRADS
    got = updated(sam(rho=0.7), clean, cube, **({} if stand_in else {"total_grads": clean}))
    norm = np.sqrt(sum((g**2).sum() for g in clean.values()))
    for name, g in clean.items():
        want = INCOMING[name] + (PARAMS[name] + 0.7 * g / norm) ** 3 - g
        np.testing.assert_allclose(got[name], want, rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, np.inf, np.nan])
def test_a_gradient_without_direction_gives_a_clean_step(value: float) -> None:
    grads = {**GRADS, "b": np.full(4, value)} if value else jax.tree.map(np.zeros_like, GRADS)
    chex.assert_trees_all_equal(updated(sam(), grads, cube, total_grads=grads), INCOMING)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_perturbed_gradient_that_is_not_finite_is_not_used(bad: float) -> None:
    def gradient_at(point: Any) -> Any:
        return {**cube(point), "b": jnp.full(4, bad)}

    chex.assert_trees_all_equal(updated(sam(), GRADS, gradient_at, total_grads=GRADS), INCOMING)


def test_the_registered_method() -> None:
    method = parse_method("sam:rho=0.2,weight=0.5")
    assert (method.title, method.loss_weight, method.signals) == ("SAM ρ=0.2 λ=0.5", 0.5, ())
    tx = method.transformation(labels_of, Context())
    want = updated(sam(rho=0.2), GRADS, cube, total_grads=GRADS)
    chex.assert_trees_all_equal(updated(tx, GRADS, cube, total_grads=GRADS), want)
