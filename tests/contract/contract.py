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
import numpy as np
import optax

from masam_jax import LateFusion, multimodal_value_and_grad

Factory = Callable[[Any], optax.GradientTransformationExtraArgs]
Check = Callable[[Factory], None]
Batch = tuple[dict[str, jax.Array], jax.Array]

CHECKS: dict[str, Check] = {}
# Every dimension divides by the number of devices, for sharded parameters.
DIMENSIONS = {"audio": 8, "text": 16}
FEATURES = 8
DEVICES = 8
STEPS = 3


def check(function: Check) -> Check:
    """Adds a check to the contract."""
    CHECKS[function.__name__] = function
    return function


def parameters(seed: int = 0, dtype: Any = jnp.float32) -> Any:
    """The initial parameters: an encoder and a head per modality, and a fusion head."""
    generator = np.random.default_rng(seed)

    def normal(*shape: int) -> jax.Array:
        return jnp.asarray(0.4 * generator.standard_normal(shape), dtype)

    return {
        "encoders": {
            m: {"w": normal(size, FEATURES), "b": normal(FEATURES)}
            for m, size in DIMENSIONS.items()
        },
        "fusion": {m: normal(FEATURES) for m in DIMENSIONS},
        "heads": {m: normal(FEATURES) for m in DIMENSIONS},
    }


def labels_of(params: Any) -> Any:
    """The labels as a callable gives them: a prefix of the parameters."""
    return {"encoders": {m: m for m in params["encoders"]}, "fusion": "other", "heads": "other"}


def batches(dtype: Any = jnp.float32) -> list[Batch]:
    """The batches ``(inputs, targets)`` of the contract's runs, of eight samples each."""
    generator = np.random.default_rng(1)

    def normal(*shape: int) -> jax.Array:
        return jnp.asarray(generator.standard_normal(shape), dtype)

    return [
        ({m: normal(DEVICES, size) for m, size in DIMENSIONS.items()}, normal(DEVICES))
        for _ in range(STEPS)
    ]


def _encode(params: Any, modality: str, inputs: dict[str, jax.Array]) -> jax.Array:
    encoder = params["encoders"][modality]
    return jnp.tanh(inputs[modality] @ encoder["w"] + encoder["b"][None])


def _objective(params: Any, features: Any, inputs: Any, targets: jax.Array) -> Any:
    def error(prediction: jax.Array) -> jax.Array:
        return jnp.mean((prediction - targets) ** 2)

    fused = sum(z @ params["fusion"][m] for m, z in features.items())
    return error(fused), {m: error(z @ params["heads"][m]) for m, z in features.items()}


LATE_FUSION = LateFusion(
    {m: lambda params, inputs, _, m=m: _encode(params, m, inputs) for m in DIMENSIONS}, _objective
)
"""The contract's network in two parts."""


def loss_fn(params: Any, inputs: dict[str, jax.Array], targets: jax.Array) -> Any:
    """Squared errors of the fused and of the unimodal predictions, in one piece."""
    return LATE_FUSION(params, inputs, targets)


def batch_signals(
    params: Any, inputs: dict[str, jax.Array], targets: jax.Array, axis_name: str | None = None
) -> dict[str, Any]:
    """What a training loop measures on the batch for the methods that read it.

    Means over the batch in the places of sums, so that eight devices agree with one.
    """
    features = {m: _encode(params, m, inputs) for m in DIMENSIONS}
    errors = {m: (z @ params["heads"][m] - targets) ** 2 for m, z in features.items()}
    signals = {
        "confidence": {m: jnp.mean(jnp.exp(-e)) for m, e in errors.items()},
        "response_losses": {m: jnp.mean(e) for m, e in errors.items()},
        "shapley_values": {m: 1 - jnp.mean(e) for m, e in errors.items()},
        "mean_features": {m: jnp.mean(z, axis=0) for m, z in features.items()},
    }
    return signals if axis_name is None else jax.lax.pmean(signals, axis_name)


def value_and_grad_with_signals(
    loss: Callable[..., Any] | LateFusion = loss_fn,
    axis_name: str | None = None,
    read: Callable[[Any], Any] = lambda params: params,
) -> Callable[..., Any]:
    """``multimodal_value_and_grad`` with the batch's signals among its own.

    Args:
      loss: of the contract's network.
      axis_name: the mapped axis, if any.
      read: from ``loss``'s parameters to those of `parameters`.
    """
    inner = multimodal_value_and_grad(loss, axis_name=axis_name)

    def value_and_grad(params: Any, *batch: Any) -> tuple[Any, Any, dict[str, Any]]:
        losses, grads, signals = inner(params, *batch)
        signals |= batch_signals(read(params), *batch, axis_name=axis_name)
        return losses, grads, signals

    return value_and_grad


class Run(NamedTuple):
    """Parameters and optimizer state at one time of a training run."""

    params: Any
    state: Any


Step = Callable[..., Run]


def with_base(tx: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """The transformation in its usual place, before a base optimizer with a state of its own."""
    return optax.chain(tx, optax.sgd(0.1, momentum=0.9))


def make_step(
    tx: optax.GradientTransformation,
    *,
    axis_name: str | None = None,
    loss: Callable[..., Any] | LateFusion = loss_fn,
    read: Callable[[Any], Any] = lambda params: params,
    **extra: Any,
) -> Step:
    """One training step ``(params, state, *batch) -> Run``, not jitted."""
    value_and_grad = value_and_grad_with_signals(loss, axis_name, read)
    update = optax.with_extra_args_support(tx).update

    def step(params: Any, state: Any, *batch: Any) -> Run:
        _, grads, signals = value_and_grad(params, *batch)
        updates, state = update(grads, state, params, **signals, **extra)
        return Run(optax.apply_updates(params, updates), state)

    return step


def train(
    tx: optax.GradientTransformation,
    params: Any = None,
    *,
    step: Step | None = None,
    data: list[Batch] | None = None,
) -> Run:
    """Runs the contract's steps, jitted unless a ``step`` is given."""
    params = parameters() if params is None else params
    run = Run(params, tx.init(params))
    step = jax.jit(make_step(tx)) if step is None else step
    for batch in batches() if data is None else data:
        run = step(*run, *batch)
    return run


class Subject(NamedTuple):
    """A transformation before its base, and its step, compiled once for all checks.

    Attributes:
      tx: the transformation and its base.
      step: the jitted step, which may be traced once.
      run: where the contract's steps lead.
    """

    tx: optax.GradientTransformationExtraArgs
    step: Any
    run: Run


@functools.cache
def subject(factory: Factory) -> Subject:
    """The factory's transformation in its usual place, trained for the contract's steps."""
    tx = with_base(factory(labels_of))
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(make_step(tx), n=1))
    return Subject(tx, step, train(tx, step=step))


def assert_same(got: Any, want: Any, tolerance: float = 2e-5) -> None:
    """Asserts that two trees have equal structures and (nearly) equal leaves."""
    chex.assert_trees_all_close(
        jax.device_get(got), jax.device_get(want), rtol=tolerance, atol=tolerance
    )
