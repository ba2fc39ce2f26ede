"""What every gradient transformation of the library must do, as functions of a factory.

A factory is ``labels -> GradientTransformationExtraArgs``. A check builds the transformation, puts
it into the setting that its name says, and asserts; ``contract_composition.py`` and
``contract_jax.py`` hold the checks, and ``test_contract.py`` runs all of them over all factories.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax import multimodal_value_and_grad
from tests.networks import loss_fn
from tests.reference_network import draw_batches, initialise, nested

Factory = Callable[[Any], optax.GradientTransformationExtraArgs]
Check = Callable[[Factory], None]

CHECKS: dict[str, Check] = {}
DIMENSIONS = {"audio": 4, "text": 8}
DEVICES = 8
STEPS = 3


def check(function: Check) -> Check:
    """Adds a check to the contract."""
    CHECKS[function.__name__] = function
    return function


class Run(NamedTuple):
    """Parameters and optimizer state at one time of a training run."""

    params: Any
    state: Any


@functools.cache
def _numpy_problem(seed: int) -> tuple[Any, list[Any]]:
    parameters = initialise(seed, DIMENSIONS, hidden=8, features=8)
    return nested(parameters), draw_batches(seed + 1, DIMENSIONS, steps=STEPS, size=DEVICES)


def parameters(seed: int = 0, dtype: Any = jnp.float32) -> Any:
    """The initial parameters of the contract's network."""
    return jax.tree.map(lambda x: jnp.asarray(x, dtype), _numpy_problem(seed)[0])


def batches(dtype: Any = jnp.float32) -> list[tuple[Any, jax.Array]]:
    """The batches ``(inputs, labels)`` of the contract's runs, of eight samples each."""
    return [
        ({m: jnp.asarray(x, dtype) for m, x in batch.inputs.items()}, jnp.asarray(batch.labels))
        for batch in _numpy_problem(0)[1]
    ]


def with_base(tx: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """The transformation in its usual place, before a base optimizer with a state of its own."""
    return optax.chain(tx, optax.sgd(0.1, momentum=0.9))


def make_step(
    tx: optax.GradientTransformation,
    *,
    axis_name: str | None = None,
    loss: Callable[..., Any] = loss_fn,
    **extra: Any,
) -> Callable[..., Run]:
    """One training step ``(params, state, inputs, labels) -> Run``, not jitted."""
    value_and_grad = multimodal_value_and_grad(loss, axis_name=axis_name)

    def step(params: Any, state: Any, inputs: Any, labels: Any) -> Run:
        _, grads, signals = value_and_grad(params, inputs, labels)
        updates, state = optax.with_extra_args_support(tx).update(
            grads, state, params, **signals, **extra
        )
        return Run(optax.apply_updates(params, updates), state)

    return step


def train(
    tx: optax.GradientTransformation,
    params: Any = None,
    *,
    step: Callable[..., Run] | None = None,
    data: list[tuple[Any, Any]] | None = None,
    **options: Any,
) -> Run:
    """Runs the contract's steps, jitted unless a ``step`` is given."""
    params = parameters() if params is None else params
    run = Run(params, tx.init(params))
    step = jax.jit(make_step(tx, **options)) if step is None else step
    for batch in batches() if data is None else data:
        run = step(*run, *batch)
    return run


def assert_same(got: Any, want: Any, tolerance: float = 2e-5) -> None:
    """Asserts that two trees have equal structures and (nearly) equal leaves."""
    chex.assert_trees_all_close(
        jax.device_get(got), jax.device_get(want), rtol=tolerance, atol=tolerance
    )
