"""The losses of the fusion head's parts against NumPy: their values, and whom they train."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.methods.head_parts import HeadPartsObjective
from masam_jax.methods.objective import LATE_FUSION_OBJECTIVE
from masam_jax.models import LateFusionNetwork
from masam_jax.models.mlp import MLPEncoder

SIZES = {"audio": 2, "video": 3}
CLASSES, BATCH = 4, 7


def network_and_params() -> tuple[LateFusionNetwork, Any]:
    """Encoders are not called: features are drawn."""
    encoders = {m: functools.partial(MLPEncoder, 1, size, 1) for m, size in SIZES.items()}
    network = LateFusionNetwork(encoders, SIZES, CLASSES)
    params = network.init(jax.random.key(0))
    draws = np.random.default_rng(1)
    return network, jax.tree.map(lambda x: jnp.asarray(draws.normal(size=x.shape), x.dtype), params)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    wide = logits.astype(np.float64)
    return np.log(np.exp(wide).sum(-1)) - wide[np.arange(len(labels)), labels]


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_of_numpy(missing: bool, weighted: bool) -> None:
    network, params = network_and_params()
    draws = np.random.default_rng(2)
    features = {m: draws.normal(size=(BATCH, h)).astype(np.float32) for m, h in SIZES.items()}
    labels = draws.integers(0, CLASSES, BATCH)
    present = {m: np.ones(BATCH, bool) for m in SIZES}
    if missing:
        present = {"audio": np.arange(BATCH) != 2, "video": np.arange(BATCH) > 3}
    weights = draws.uniform(1, 2, BATCH) if weighted else np.ones(BATCH)
    further: dict[str, Any] = {"present": jax.tree.map(jnp.asarray, present)} if missing else {}
    if weighted:
        further["weights"] = jnp.asarray(weights, jnp.float32)

    def loss(objective: Any, params: Any) -> Any:
        found = objective.losses(
            network,
            params,
            jax.tree.map(jnp.asarray, features),
            jnp.asarray(labels, jnp.int32),
            (),
            **further,
        )
        return found.fusion, found.unimodal

    (head,) = [x for x in jax.tree.leaves(params["fusion"]) if x.ndim == 2]
    (bias,) = [x for x in jax.tree.leaves(params["fusion"]) if x.ndim == 1]
    kernel, start, want = np.asarray(head, np.float64), 0, 0.0
    plain, unimodal = loss(LATE_FUSION_OBJECTIVE, params)
    for m, size in SIZES.items():
        part = features[m] @ kernel[start : start + size] + np.asarray(bias, np.float64) / 2
        counted = weights * present[m]
        want += 0.7 * (counted * cross_entropy(part, labels)).sum() / counted.sum()
        start += size
    got, same = loss(HeadPartsObjective(0.7), params)
    np.testing.assert_allclose(got - plain, want, rtol=2e-5)
    assert jax.device_get(same) == jax.device_get(unimodal)


def test_both_train_the_head_and_predict_alike() -> None:
    network, params = network_and_params()
    features = {m: jnp.ones((1, size), jnp.float32) for m, size in SIZES.items()}

    def loss(objective: Any, params: Any) -> Any:
        return objective.losses(network, params, features, jnp.zeros(1, jnp.int32), ()).fusion

    plain = jax.grad(lambda p: loss(LATE_FUSION_OBJECTIVE, p))(params)["fusion"]
    with_parts = jax.grad(lambda p: loss(HeadPartsObjective(1.0), p))(params)["fusion"]
    for one, other in zip(*map(jax.tree.leaves, (plain, with_parts)), strict=True):
        assert np.abs(np.asarray(one) - np.asarray(other)).max() > 0.01
    assert HeadPartsObjective(1.0).predictor is None
