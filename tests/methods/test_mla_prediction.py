"""MLA's prediction, in which the certain modality counts more, and the head that all share."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.methods.mla import MlaObjective
from tests.methods.phased_training import LinearNetwork, assert_close, softmax

SIZE, CLASSES = 4, 3
OBJECTIVE = MlaObjective()
NAMES = ("audio", "text", "video")


def make_network(**sizes: int) -> LinearNetwork:
    return LinearNetwork(sizes, sizes, CLASSES)


@jax.jit
def _predict(head: Any, features: dict[str, jax.Array]) -> Any:
    network = make_network(**dict.fromkeys(features, SIZE))
    return OBJECTIVE.predict(network, {"method": {"head": head}}, features, ())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_modalities_are_weighed_by_their_entropy(x64: None, count: int) -> None:
    generator = np.random.default_rng(5)
    features = {m: generator.standard_normal((7, SIZE)) for m in NAMES[:count]}
    kernel, bias = generator.standard_normal((SIZE, CLASSES)), generator.standard_normal(CLASSES)
    p = np.stack([softmax(f @ kernel + bias) for f in features.values()])
    entropy = -(p * np.log(p)).sum(axis=-1)
    weights = np.exp(entropy.max(axis=0) - entropy)
    weights /= weights.sum(axis=0)
    head = {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
    logits, unimodal = _predict(head, jax.tree.map(jnp.asarray, features))
    assert_close(np.exp(logits), (weights[..., None] * p).sum(axis=0))
    assert_close(unimodal, {m: f @ kernel + bias for m, f in features.items()})


def test_of_several_modalities_the_losses_add_up(x64: None) -> None:
    generator = np.random.default_rng(6)
    features = {m: generator.standard_normal((5, SIZE)) for m in NAMES}
    kernel, bias = generator.standard_normal((SIZE, CLASSES)), generator.standard_normal(CLASSES)
    truth = np.array([0, 2, 1, 1, 0])
    losses = {
        m: -np.log(softmax(f @ kernel + bias)[np.arange(5), truth]).mean()
        for m, f in features.items()
    }
    params = {"method": {"head": {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}}}
    network = make_network(**dict.fromkeys(NAMES, SIZE))
    operands = jax.tree.map(jnp.asarray, (features, truth))
    outcome = jax.jit(lambda f, y: OBJECTIVE.losses(network, params, f, y, ()))(*operands)
    assert_close(outcome.unimodal, losses)
    assert_close(outcome.fusion, sum(losses.values()))


def test_a_certain_prediction_is_finite() -> None:
    head = {"kernel": 1e4 * jnp.eye(SIZE, CLASSES), "bias": jnp.zeros(CLASSES)}
    features = {m: jnp.ones((2, SIZE)).at[0, 0].set(5.0) for m in NAMES}
    logits, _ = _predict(head, features)
    np.testing.assert_allclose(jnp.exp(logits), [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)


def test_initial_head() -> None:
    sizes, classes = {"a": 40, "b": 40}, 60
    head = OBJECTIVE.init_params(LinearNetwork(sizes, sizes, classes), jax.random.key(0))["head"]
    assert (head["kernel"].shape, head["bias"].shape) == ((40, classes), (classes,))
    np.testing.assert_allclose(jnp.std(head["kernel"]), (2 / (40 + classes)) ** 0.5, rtol=0.1)
    assert not head["bias"].any()


def test_features_of_different_sizes_are_named() -> None:
    with pytest.raises(ValueError, match=r"one size; found feature sizes \{'a': 4, 'b': 5\}"):
        OBJECTIVE.init_params(make_network(a=4, b=5), jax.random.key(0))
