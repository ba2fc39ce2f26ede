"""Losses scaled for float16: the recipe of the docs gives the step of plain losses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import masam, masam_metrics, multimodal_value_and_grad, sam
from tests.core.networks import labels_of, loss_fn
from tests.core.optimizers import lenient
from tests.core.reference import MasamReference, Momentum, SamReference
from tests.core.reference_network import draw_batches, initialise, nested

DIMENSIONS = {"audio": 3, "text": 2, "video": 4}
WEIGHTS = {"audio": 0.5, "text": 1.0, "video": 0.7}
STEPS = 25
SCALE = 2.0**15
TRANSFORMATIONS = {
    "dominant": masam(labels_of, rho=0.5, alpha=0.6, beta=0.8),
    "all": masam(labels_of, rho=0.5, alpha=0.6, beta=0.8, select="all"),
    "per_tensor": masam(labels_of, rho=0.5, alpha=0.6, beta=0.8, alignment="per_tensor"),
    "sam": sam(rho=0.2),
}


def scaled(*args):
    fusion, unimodal = loss_fn(*args)
    return SCALE * fusion, {m: SCALE * loss for m, loss in unimodal.items()}


def train(tx, *, cured=True):
    """The parameters after every step of float64 on scaled losses, and masam's state."""
    tx = optax.chain(tx, optax.scale(1 / SCALE), lenient(optax.sgd(0.03, momentum=0.9)))
    value_and_grad = multimodal_value_and_grad(scaled, loss_weights=WEIGHTS)

    @jax.jit
    def step(params, state, batch):
        _, grads, signals = value_and_grad(params, batch.inputs, batch.labels)
        if cured:
            losses = signals["unimodal_losses"]
            signals["unimodal_losses"] = {m: loss / SCALE for m, loss in losses.items()}
        updates, state = tx.update(grads, state, params, **signals)
        return optax.apply_updates(params, updates), state

    params = jax.tree.map(jnp.asarray, nested(initialise(11, DIMENSIONS)))
    state, run = tx.init(params), []
    for batch in draw_batches(21, DIMENSIONS, steps=STEPS):
        params, state = step(params, state, jax.tree.map(jnp.asarray, batch))
        run.append((params, state))
    return run


@functools.cache
def expected(name):
    """The same in NumPy, on plain losses."""
    if name == "sam":
        reference = SamReference(Momentum(0.03, 0.9), rho=0.2, weights=WEIGHTS)
    else:
        options = {"all": {"select": "all"}, "per_tensor": {"alignment": "per_tensor"}}
        reference = MasamReference(
            Momentum(0.03, 0.9),
            rho=0.5,
            alpha=0.6,
            beta=0.8,
            weights=WEIGHTS,
            **options.get(name, {}),
        )
    parameters, trajectory = initialise(11, DIMENSIONS), []
    for batch in draw_batches(21, DIMENSIONS, steps=STEPS):
        if name == "sam":
            parameters, record = reference.step(parameters, batch), None
        else:
            parameters, record = reference.step(parameters, batch)
        trajectory.append((parameters, record))
    return trajectory


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_the_step_of_plain_losses(name, x64):
    for (params, state), (want, record) in zip(
        train(TRANSFORMATIONS[name]), expected(name), strict=True
    ):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10),
            params,
            nested(want),
        )
        if record is not None:
            metrics = masam_metrics(state)
            for m in DIMENSIONS:
                assert float(metrics[f"score/{m}"]) == pytest.approx(record.score[m], abs=1e-10)


def test_without_the_cure_other_modalities_are_chosen(x64):
    chosen = [
        masam_metrics(s)["dominant"] for _, s in train(TRANSFORMATIONS["dominant"], cured=False)
    ]
    assert chosen != [record.perturbed[0] for _, record in expected("dominant")]


def test_gradients_that_float16_flushes_are_those_of_float32():
    """A loss of 1e-8 |θ|² / 2 a modality, in float16: unscaled its gradients are zero."""
    tiny, radius = 1e-8, 0.25
    params = {"audio": jnp.asarray([3.0, 4.0]), "text": jnp.asarray([1.0, 0.0])}

    def loss_of(scale):
        def losses(p):
            def half_square(x):
                half = x.astype(jnp.float16)
                return jnp.sum(half * half).astype(jnp.float32) / 2

            # The factor is carried through float16, as it is by a network's own small gradients.
            shrunk = {m: half_square(x) * (scale * tiny) for m, x in p.items()}
            return shrunk["audio"] + shrunk["text"], shrunk

        return losses

    tx = optax.chain(
        masam({m: m for m in params}, rho=radius, select="all"), optax.scale(1 / SCALE)
    )
    _, grads, signals = multimodal_value_and_grad(loss_of(SCALE))(params)
    updates, _ = tx.update(grads, tx.init(params), params, **signals)
    for m, theta in params.items():
        theta = np.asarray(theta, np.float64)
        # L_total = 2 c |θ|²/2 and L_fuse = c |θ|²/2, γ = 1: g = 2 c θ + c ρ θ / |θ|.
        want = tiny * (2 * theta + radius * theta / np.linalg.norm(theta))
        np.testing.assert_allclose(updates[m], want, rtol=2e-3)
    _, plain, _ = multimodal_value_and_grad(loss_of(1.0))(params)
    assert not any(leaf.any() for leaf in jax.tree.leaves(plain))
