"""Relative flatness is what the dense Hessian and the weights make it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.geometry import relative_flatness
from tests.geometry.dense import LABELS, dense_hessian, loss_fn, make_batches, make_params, slices

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def blocks():
    hessian = dense_hessian(make_params(), make_batches())
    return {"all": hessian} | {name: hessian[at, at] for name, at in slices().items()}


def _neurons(block, weights):
    """Petzka et al.'s sum over pairs of neurons, of weights [inputs, neurons]."""
    inputs, neurons = weights.shape
    by_pairs = np.einsum("isit->st", block.reshape(inputs, neurons, inputs, neurons))
    return np.sum((weights.T @ weights) * by_pairs)


@pytest.mark.parametrize("per", ["partition", "layer", "neuron"])
@pytest.mark.parametrize("max_samples", [18, 200])
def test_it_is_that_of_the_dense_hessian(per, max_samples, blocks):
    params = make_params()
    squares = {name: np.sum(weights.astype(float) ** 2) for name, weights in params.items()}
    # A part is one array here.
    exact = {name: np.trace(blocks[name]) * squares[name] for name in params}
    if per == "neuron":
        exact = {name: _neurons(blocks[name], params[name].astype(float)) for name in params}
    whole = np.trace(blocks["all"]) * sum(squares.values())
    whole = whole if per == "partition" else sum(exact.values())
    found = relative_flatness(
        loss_fn,
        params,
        make_batches(),
        labels=LABELS,
        key=KEY,
        per=per,
        max_samples=max_samples,
    )
    for name, value in {"all": whole, **exact}.items():
        estimate = found[LABELS.get(name, name)]
        assert estimate.mean == pytest.approx(value, abs=4 * estimate.standard_error + 1e-3), name
        assert estimate.standard_error > 0 or max_samples == 200


def test_layers_of_the_whole(blocks):
    params = make_params()
    (found,) = relative_flatness(
        loss_fn, params, make_batches(), key=KEY, per="layer", max_samples=100
    ).values()
    exact = sum(np.trace(blocks[name]) * np.sum(params[name] ** 2.0) for name in params)
    # As many samples as parameters: all unit vectors.
    assert found.mean == pytest.approx(exact, rel=1e-4)


def test_neurons_have_no_biases():
    def biased(params, batch):
        return jnp.sum(params["bias"] ** 2) + jnp.sum(params["kernel"] ** 2)

    params = {"bias": jnp.ones(3), "kernel": jnp.ones((2, 3))}
    found = relative_flatness(
        biased, params, [None], labels={"bias": "other", "kernel": "a"}, key=KEY, per="neuron"
    )
    assert found["other"].mean == 0
    # The curvature is 2, between a neuron and itself alone: 2 · 2 inputs · ‖w_s‖² of 3 neurons.
    assert found["a"].mean == found["all"].mean == pytest.approx(2 * 2 * 6)


def test_mistakes():
    with pytest.raises(ValueError, match=r"per must be one of .*got 'weight'"):
        relative_flatness(loss_fn, make_params(), make_batches(), key=KEY, per="weight")
