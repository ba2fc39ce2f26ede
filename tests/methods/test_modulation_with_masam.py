"""OGM-GE or AGM and MASAM in one chain: modulation and geometry."""

from __future__ import annotations

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import masam
from masam_jax.methods.agm import agm
from masam_jax.methods.ogm_ge import ogm_ge
from tests.core.networks import labels_of
from tests.core.optimizers import lenient
from tests.core.reference_network import draw_batches, initialise, nested
from tests.methods import ogm_ge_reference as reference
from tests.methods.modulation_training import make_gradient, make_step

DIMENSIONS = {"audio": 5, "video": 3}
PARAMETERS = initialise(0, DIMENSIONS)
BATCH = draw_batches(1, DIMENSIONS, steps=1, size=24)[0]


def _params_and_batch() -> tuple[Any, Any]:
    batch = BATCH._replace(inputs=jax.tree.map(jnp.float32, BATCH.inputs))
    return jax.tree.map(jnp.float32, nested(PARAMETERS)), jax.tree.map(jnp.asarray, batch)


def _train(tx: Any, steps: int) -> tuple[Any, list[float]]:
    params, batch = _params_and_batch()
    state, losses = tx.init(params), []
    step = make_step(tx, tuple(DIMENSIONS), loss_weights=1.0)
    for _ in range(steps):
        params, state, loss = step(params, state, batch)
        losses.append(float(loss))
    return params, losses


@pytest.mark.parametrize("modulation", [ogm_ge, agm])
def test_trains(modulation: Any) -> None:
    perturb, base = masam(labels_of, rho=0.1), lenient(optax.adamw(0.02))
    _, losses = _train(optax.chain(modulation(labels_of), perturb, base), steps=25)
    assert losses[-1] < 0.7 * losses[0]


def test_without_modulation_and_noise_masam_is_left_alone() -> None:
    """With α = 0 every k, and every κ, is 1."""
    perturb, base = masam(labels_of, rho=0.5), optax.sgd(0.1, momentum=0.9)
    still = (ogm_ge(labels_of, alpha=0.0, noise=False), agm(labels_of, alpha=0.0))
    alone, _ = _train(optax.chain(perturb, base), steps=4)
    hybrid, _ = _train(optax.chain(*still, perturb, base), steps=4)
    chex.assert_trees_all_equal(hybrid, alone)


def test_order_decides_whether_the_correction_of_masam_is_scaled() -> None:
    """k u + c before MASAM, k (u + c) behind it: they differ by (1 - k) c on its encoder."""
    k = reference.coefficients_of(reference.confidence_of(PARAMETERS, BATCH), 0.3)
    ahead = min(k, key=lambda m: k[m])
    assert k[ahead] < 1
    modulate = ogm_ge(labels_of, alpha=0.3, noise=False)
    perturb = masam(labels_of, rho=0.5, select=ahead)
    params, batch = _params_and_batch()
    _, grads, signals = jax.jit(make_gradient(tuple(DIMENSIONS), 1.0))(params, batch)

    def updates(*parts: Any) -> Any:
        tx = optax.chain(*parts)
        return tx.update(grads, tx.init(params), params, **signals)[0]

    perturbed = updates(perturb)
    before, behind = updates(modulate, perturb), updates(perturb, modulate)
    for m in k:
        for name, u in grads["encoders"][m].items():
            c = perturbed["encoders"][m][name] - u
            assert bool((c != 0).any()) == (m == ahead)
            for got, want in [(before, k[m] * u + c), (behind, k[m] * (u + c))]:
                np.testing.assert_allclose(got["encoders"][m][name], want, rtol=1e-4, atol=1e-6)
    for group in ("fusion", "heads"):
        chex.assert_trees_all_equal(before[group], grads[group])
