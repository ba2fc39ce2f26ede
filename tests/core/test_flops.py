"""What XLA counts in the compiled step: MASAM through ``LateFusion`` stays at the arithmetic floor.

A layer of an encoder is one unit forward and two backward (weights and inputs), except that an
encoder's first layer needs no gradient in its inputs. With ``D`` equal layers and ``M`` encoders,

* late fusion is one forward and one pullback: ``M (3D − 1)`` units;
* MASAM is one forward and two pullbacks, then forward and pullback of the one dominant encoder:
  ``M (5D − 2) + (3D − 1)`` units,

which tends to DESIGN's ``(5M + 3) / (3M)`` as ``D`` grows, and is within 1 % of it at ``D = 8``.

XLA's ``cost_analysis`` counts a conditional as its most expensive branch, not as the sum of them
(asserted below). Here every branch is one encoder of the same size, so that the count is what runs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import LateFusion, masam, multimodal_value_and_grad, sam
from tests.core.optimizers import lenient

DEPTH = 8
WIDTH = 64
BATCH = 256
CLASSES = 2
LAYER = 2 * BATCH * WIDTH * WIDTH


def _flops(function: Callable[..., Any], *arguments: Any) -> float:
    analysis = jax.jit(function).lower(*arguments).compile().cost_analysis()
    assert analysis is not None
    return analysis["flops"]


def _names(count: int) -> list[str]:
    return [f"modality{i}" for i in range(count)]


def _parameters(count: int) -> dict[str, Any]:
    names = _names(count)
    return {
        "encoders": {m: [jnp.zeros((WIDTH, WIDTH))] * DEPTH for m in names},
        "fusion": jnp.zeros((WIDTH, CLASSES)),
        "heads": {m: jnp.zeros((WIDTH, CLASSES)) for m in names},
    }


def _batch(count: int) -> tuple[dict[str, jax.Array], jax.Array]:
    inputs = {m: jnp.zeros((BATCH, WIDTH)) for m in _names(count)}
    return inputs, jnp.zeros(BATCH, jnp.int32)


def _encode(params: Any, modality: str, inputs: dict[str, jax.Array]) -> jax.Array:
    x = inputs[modality]
    for weights in params["encoders"][modality]:
        x = jnp.maximum(x @ weights, jnp.float32(0.0))
    return x


def _objective(params: Any, features: Any, inputs: Any, labels: jax.Array) -> Any:
    def loss(logits: jax.Array) -> jax.Array:
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))

    joint = sum(features.values())
    return loss(joint @ params["fusion"]), {
        m: loss(z @ params["heads"][m]) for m, z in features.items()
    }


def _loss_fn(params: Any, inputs: Any, labels: jax.Array) -> Any:
    features = {m: _encode(params, m, inputs) for m in inputs}
    return _objective(params, features, inputs, labels)


def _late_fusion(count: int) -> LateFusion:
    def encoder(modality: str) -> Callable[..., jax.Array]:
        return lambda params, inputs, labels: _encode(params, modality, inputs)

    return LateFusion(encoders={m: encoder(m) for m in _names(count)}, objective=_objective)


def _labels(params: Any) -> Any:
    return {"encoders": {m: m for m in params["encoders"]}, "fusion": "other", "heads": "other"}


def _weights(count: int, weighted: bool) -> dict[str, float]:
    return {m: 0.5 + 0.25 * i if weighted else 1.0 for i, m in enumerate(_names(count))}


SGD = optax.sgd(0.1)
ADAMW = lenient(optax.adamw(1e-3))


@functools.cache
def _baseline_flops(count: int, optimizer: optax.GradientTransformation, weighted: bool) -> float:
    """Plain JAX: one ``value_and_grad`` of the total loss."""
    weights = _weights(count, weighted)

    def total(params: Any, inputs: Any, labels: jax.Array) -> jax.Array:
        fusion, unimodal = _loss_fn(params, inputs, labels)
        return fusion + sum(weights[m] * loss for m, loss in unimodal.items())

    def step(params: Any, state: Any, *batch: Any) -> Any:
        loss, grads = jax.value_and_grad(total)(params, *batch)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state, loss

    params = _parameters(count)
    return _flops(step, params, optimizer.init(params), *_batch(count))


def _step_flops(
    count: int, tx: Any, objective: Any, weighted: bool = False, weights: Any = None
) -> float:
    """The same step through ``multimodal_value_and_grad``, with whatever ``tx`` asks of it."""
    weights = _weights(count, weighted) if weights is None else weights
    value_and_grad = multimodal_value_and_grad(objective, loss_weights=weights)

    def step(params: Any, state: Any, *batch: Any) -> Any:
        losses, grads, signals = value_and_grad(params, *batch)
        updates, state = tx.update(grads, state, params, **signals)
        return optax.apply_updates(params, updates), state, losses

    params = _parameters(count)
    return _flops(step, params, tx.init(params), *_batch(count))


def test_a_conditional_counts_as_its_most_expensive_branch() -> None:
    x = jnp.zeros((WIDTH, WIDTH))
    branches = [lambda y: y @ y, lambda y: y @ y @ y, lambda y: y @ y @ y @ y]
    counted = _flops(lambda i, y: jax.lax.switch(i, branches, y), jnp.int32(0), x)
    np.testing.assert_allclose(counted, 3 * 2 * WIDTH**3, rtol=0.01)


@pytest.mark.parametrize("count", [2, 3, 6])
def test_late_fusion_costs_what_the_docstring_says(count: int) -> None:
    counted = _baseline_flops(count, SGD, False)
    np.testing.assert_allclose(counted, count * (3 * DEPTH - 1) * LAYER, rtol=0.05)


@pytest.mark.parametrize("weighted", [False, True], ids=["uniform", "weighted"])
@pytest.mark.parametrize("count", [2, 3, 6])
def test_masam_stays_at_the_floor(count: int, weighted: bool) -> None:
    tx = optax.chain(masam(_labels, dispatch="switch"), SGD)
    counted = _step_flops(count, tx, _late_fusion(count), weighted)
    ratio = counted / _baseline_flops(count, SGD, weighted)
    floor = (5 * count + 3) / (3 * count)
    exact = (count * (5 * DEPTH - 2) + 3 * DEPTH - 1) / (count * (3 * DEPTH - 1))
    np.testing.assert_allclose(exact, floor, rtol=0.01)
    np.testing.assert_allclose(ratio, floor, rtol=0.05)


OPTIONS = {
    "radius": {"radius": "relative"},
    "head": {"correct_other": True},
    "direction": {"direction": "total"},
    "all three": {"radius": "relative", "correct_other": True, "direction": "total"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_options_of_the_perturbation_stay_at_the_floor(options: dict[str, Any]) -> None:
    tx = optax.chain(masam(_labels, dispatch="switch", **options), SGD)
    ratio = _step_flops(3, tx, _late_fusion(3)) / _baseline_flops(3, SGD, False)
    np.testing.assert_allclose(ratio, (5 * 3 + 3) / (3 * 3), rtol=0.05)


def test_all_encoders_with_the_head_cost_a_second_pass_of_everything() -> None:
    """Forward and two pullbacks, then forward and one pullback: (8M)/(3M) of late fusion."""
    options: dict[str, Any] = {"select": "all", "scale_by_alignment": False}
    options |= {"radius": "relative", "correct_other": True}
    tx = optax.chain(masam(_labels, **options), SGD)
    ratio = _step_flops(3, tx, _late_fusion(3)) / _baseline_flops(3, SGD, False)
    np.testing.assert_allclose(ratio, 8 / 3, rtol=0.05)


def test_options_that_are_off_leave_the_program_as_it_was() -> None:
    def program(**options: Any) -> str:
        tx = optax.chain(masam(_labels, dispatch="switch", **options), SGD)
        value_and_grad = multimodal_value_and_grad(_late_fusion(2))

        def step(params: Any, state: Any, *batch: Any) -> Any:
            _, grads, signals = value_and_grad(params, *batch)
            return tx.update(grads, state, params, **signals)

        params = _parameters(2)
        return jax.jit(step).lower(params, tx.init(params), *_batch(2)).as_text()

    off = {"radius": "absolute", "correct_other": False, "direction": "fusion"}
    assert program() == program(**off, perturbed_dtype="parameters")
    assert all(program() != program(**on) for on in OPTIONS.values())


@pytest.mark.parametrize("count", [2])
def test_sam_costs_twice(count: int) -> None:
    tx = optax.chain(sam(rho=0.05), SGD)
    counted = _step_flops(count, tx, _late_fusion(count))
    ratio = counted / _baseline_flops(count, SGD, False)
    np.testing.assert_allclose(ratio, 2.0, rtol=0.05)


@pytest.mark.parametrize("weighted", [False, True], ids=["uniform", "weighted"])
@pytest.mark.parametrize("path", ["plain", "late_fusion"])
@pytest.mark.parametrize("count", [3])
def test_signals_that_nobody_reads_cost_nothing(count: int, path: str, weighted: bool) -> None:
    objective = _loss_fn if path == "plain" else _late_fusion(count)
    counted = _step_flops(count, ADAMW, objective, weighted)
    np.testing.assert_allclose(counted, _baseline_flops(count, ADAMW, weighted), rtol=0.02)


@pytest.mark.parametrize("path", ["plain", "late_fusion"])
def test_unimodal_losses_without_weight_cost_no_pullback(path: str) -> None:
    objective = _loss_fn if path == "plain" else _late_fusion(3)
    counted = _step_flops(3, ADAMW, objective, weights=0.0)
    np.testing.assert_allclose(counted, _baseline_flops(3, ADAMW, False), rtol=0.02)
