"""The reference itself: its gradients against central differences, its bases against optax."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from tests.core.optimizers import lenient
from tests.core.reference import Adam, Base, Momentum
from tests.core.reference_network import (
    Batch,
    Parameters,
    draw_batches,
    fusion_value_and_gradient,
    initialise,
    unimodal_value_and_gradient,
)

DIMENSIONS = {"audio": 2, "text": 3}
STEP = 1e-6


def _central_differences(loss: Callable[[Parameters], float], parameters: Parameters) -> Parameters:
    gradient = {}
    for key, value in parameters.items():
        gradient[key] = np.zeros_like(value)
        for index in np.ndindex(value.shape):
            moved = {sign: value.copy() for sign in (-1, 1)}
            for sign, array in moved.items():
                array[index] += sign * STEP
            difference = loss(parameters | {key: moved[1]}) - loss(parameters | {key: moved[-1]})
            gradient[key][index] = difference / (2 * STEP)
    return gradient


def _value_and_gradient(
    parameters: Parameters, batch: Batch, which: str
) -> tuple[float, Parameters]:
    if which == "fusion":
        return fusion_value_and_gradient(parameters, batch)
    return unimodal_value_and_gradient(parameters, batch, which)


@pytest.mark.parametrize("which", ["fusion", "audio", "text"])
def test_hand_written_gradients_agree_with_central_differences(which: str) -> None:
    parameters = initialise(0, DIMENSIONS)
    (batch,) = draw_batches(1, DIMENSIONS, steps=1)
    _, gradient = _value_and_gradient(parameters, batch, which)
    expected = _central_differences(
        lambda moved: _value_and_gradient(moved, batch, which)[0], parameters
    )
    assert gradient.keys() == expected.keys()
    for key in expected:
        np.testing.assert_allclose(gradient[key], expected[key], rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "base, optimizer",
    [(Momentum(0.1, 0.9), optax.sgd(0.1, momentum=0.9)), (Adam(0.02), lenient(optax.adam(0.02)))],
    ids=["momentum", "adam"],
)
def test_base_optimizers_agree_with_optax(
    base: Base, optimizer: optax.GradientTransformation
) -> None:
    generator = np.random.default_rng(0)
    with jax.enable_x64(True):
        state = optimizer.init({"w": jnp.zeros(4)})
        for _ in range(20):
            gradient = generator.standard_normal(4)
            updates, state = optimizer.update({"w": jnp.asarray(gradient)}, state)
            expected = base({("w",): gradient})["w",]
            np.testing.assert_allclose(updates["w"], expected, rtol=1e-12, atol=1e-15)
