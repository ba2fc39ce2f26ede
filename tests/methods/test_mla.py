"""MLA against a NumPy reference, and the orthogonality that it promises."""

from __future__ import annotations

from typing import Any

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax.methods import Context, parse_method
from masam_jax.methods.mla import MlaObjective, MlaOptions, mla
from masam_jax.methods.mla_projection import absorb, project
from tests.core.reference import Momentum
from tests.core.reference_network import Batch, Parameters, draw_batches, nested
from tests.methods.phased_training import (
    Array,
    LinearNetwork,
    assert_close,
    in_phases,
    labels_of,
    make_step,
    softmax,
    start,
)

STEPS, SIZE, BATCHES_PER_EPOCH = 12, 4, 5
HEAD, BIAS = ("method", "head", "kernel"), ("method", "head", "bias")
OBJECTIVE = MlaObjective()


def make_network(count: int) -> LinearNetwork:
    names = ("text", "audio", "video")[:count]
    return LinearNetwork({m: 3 + i for i, m in enumerate(names)}, dict.fromkeys(names, SIZE))


def initialise(network: LinearNetwork) -> Parameters:
    generator = np.random.default_rng(2)
    encoders = {("encoders", m, "kernel"): p["kernel"] for m, p in network.init(1).items()}
    classes = network.num_classes
    return encoders | {
        HEAD: generator.standard_normal((SIZE, classes)),
        BIAS: generator.standard_normal(classes),
    }


# --- the paper's rule in NumPy ---


def gradient_of(parameters: Parameters, batch: Batch, m: str) -> tuple[Array, Parameters]:
    """Modality m's features, and the gradient of its cross-entropy through the shared head."""
    features = batch.inputs[m] @ parameters["encoders", m, "kernel"]
    at_logits = softmax(features @ parameters[HEAD] + parameters[BIAS])
    at_logits[np.arange(len(batch.labels)), batch.labels] -= 1
    at_logits /= len(batch.labels)
    gradient = {
        ("encoders", m, "kernel"): batch.inputs[m].T @ (at_logits @ parameters[HEAD].T),
        HEAD: features.T @ at_logits,
        BIAS: at_logits.sum(axis=0),
    }
    return features, gradient


def train_reference(
    parameters: Parameters, batches: list[Batch], names: list[str], alpha: float
) -> tuple[Parameters, Array]:
    """The parameters and P after all batches, with momentum by partition."""
    projection = np.eye(SIZE)
    optimizers = {m: Momentum(0.05) for m in names}
    shared = Momentum(0.05)
    for t, batch in enumerate(batches):
        a = alpha ** (1 + (t % BATCHES_PER_EPOCH) / BATCHES_PER_EPOCH)
        for m in names:
            features, gradient = gradient_of(parameters, batch, m)
            gradient[HEAD] = projection @ gradient[HEAD]
            encoder = ("encoders", m, "kernel")
            updates = optimizers[m]({encoder: gradient.pop(encoder)}) | shared(gradient)
            parameters = parameters | {k: parameters[k] + u for k, u in updates.items()}
            r = features.mean(axis=0)
            k = projection @ r
            projection = projection - np.outer(k, k) / (a + k @ r)
    return parameters, projection


@pytest.mark.parametrize("count, alpha", [(1, 0.1), (2, 0.1), (2, 0.7), (3, 0.1)])
def test_trajectory_of_the_reference(x64: None, count: int, alpha: float) -> None:
    network = make_network(count)
    parameters = initialise(network)
    batches = draw_batches(3, network.dimensions, steps=STEPS)
    method = mla(labels_of, alpha=alpha, steps_per_epoch=BATCHES_PER_EPOCH)
    tx = in_phases(method, optax.sgd(0.05, momentum=0.9), network)
    step = make_step(network, OBJECTIVE, tx)
    training = start(network, OBJECTIVE, nested(parameters), tx)
    for batch in batches:
        training = step(training, jax.tree.map(jnp.asarray, batch))
    want, projection = train_reference(parameters, batches, list(network.modalities), alpha)
    assert_close(training.params, nested(want))
    state = training.opt_state[0]
    assert_close(state.root @ state.root.T, projection)
    assert state.step == STEPS


# --- the property that defines it ---


def vectors(count: int) -> Any:
    numbers = st.floats(-10, 10, allow_subnormal=False)
    return st.lists(st.lists(numbers, min_size=SIZE, max_size=SIZE), min_size=count, max_size=count)


@jax.jit
def _absorb_and_project(features: jax.Array, gradient: jax.Array) -> jax.Array:
    root = jnp.eye(SIZE)
    for feature in features:
        root = absorb(root, feature, jnp.asarray(1e-12))
    return project(root, gradient)


@hypothesis.given(vectors(2), vectors(SIZE))
def test_the_projected_gradient_is_orthogonal_to_stored_features(
    stored: list[list[float]], gradient: list[list[float]]
) -> None:
    """As a → 0. The limit needs features that are not nearly parallel, or zero."""
    features = np.array(stored)
    lengths = np.linalg.norm(features, axis=1)
    hypothesis.assume(lengths.min() > 0.1)
    cosine = features[0] @ features[1] / lengths.prod()
    hypothesis.assume(abs(cosine) < 0.99)
    with jax.enable_x64(True):
        projected = np.asarray(_absorb_and_project(features, np.array(gradient)))
    np.testing.assert_allclose(features @ projected, 0, atol=1e-5)
    # What is orthogonal to the stored features stays as it was.
    free = np.eye(SIZE) - np.linalg.pinv(features) @ features
    np.testing.assert_allclose(free @ projected, free @ np.array(gradient), atol=1e-5)


def test_a_step_leaves_the_previous_modalitys_outputs() -> None:
    """Of the mean feature of the phase before; of the present one it does not."""
    with jax.enable_x64(True):
        network = make_network(2)
        generator = np.random.default_rng(0)
        means = {m: jnp.asarray(generator.standard_normal(SIZE)) for m in network.modalities}
        params = jax.tree.map(jnp.asarray, nested(initialise(network)))
        tx = mla(labels_of, alpha=1e-12)
        compiled = jax.jit(tx.update, static_argnames="phase")
        state = tx.init(params)
        updates = []
        for m in network.modalities:
            update, state = compiled(params, state, params, mean_features=means, phase=m)
            updates.append(np.asarray(update["method"]["head"]["kernel"]))
    audio, text = np.asarray(means["audio"]), np.asarray(means["text"])
    np.testing.assert_allclose(audio @ updates[1], 0, atol=1e-8)
    assert np.abs(text @ updates[1]).min() > 1e-3
    assert np.array_equal(updates[0], params["method"]["head"]["kernel"])


def test_only_the_head_is_projected() -> None:
    params = {"encoders": {"a": jnp.ones((2, SIZE))}, "heads": {"k": jnp.ones(SIZE), "b": 2.0}}
    tx = mla(labels_of, head="heads/k")
    compiled = jax.jit(tx.update)
    r = {"a": jnp.arange(1.0, 1 + SIZE)}
    _, state = compiled(params, tx.init(params), params, mean_features=r)
    updates, _ = compiled(params, state, params, mean_features=r)
    assert np.array_equal(updates["encoders"]["a"], params["encoders"]["a"])
    assert updates["heads"]["b"] == 2.0
    k = np.arange(1.0, 1 + SIZE)
    want = np.ones(SIZE) - k * k.sum() / (0.1 + k @ k)
    np.testing.assert_allclose(updates["heads"]["k"], want, rtol=1e-5, atol=1e-6)


def test_without_a_phase_every_modality_counts_after_the_projection() -> None:
    network = make_network(3)
    params = jax.tree.map(jnp.float32, nested(initialise(network)))
    generator = np.random.default_rng(1)
    means = {m: jnp.float32(generator.standard_normal(SIZE)) for m in network.modalities}
    tx = mla(labels_of)
    compiled = jax.jit(tx.update, static_argnames="phase")
    together = phased = tx.init(params)
    updates, together = compiled(params, together, params, mean_features=means)
    for m in network.modalities:
        _, phased = compiled(params, phased, params, mean_features=means, phase=m)
    assert_close(updates, params, 0)
    assert_close(together[:2], phased[:2], 1e-6)


def test_the_projection_stays_one_in_float32() -> None:
    """Large features of few directions for long: rounding must not turn an eigenvalue's sign."""
    generator = np.random.default_rng(4)
    basis = generator.standard_normal((3, 32))
    weights = 30 * generator.standard_normal((10_000, 3))
    noise = 0.01 * generator.standard_normal((10_000, 32))
    features = jnp.asarray(weights @ basis + noise, jnp.float32)
    root, _ = jax.lax.scan(
        lambda root, r: (absorb(root, r, jnp.float32(0.01)), None),
        jnp.eye(32, dtype=jnp.float32),
        features,
    )
    projection = np.asarray(project(root, jnp.eye(32, dtype=jnp.float32)))
    np.testing.assert_allclose(projection, projection.T, atol=1e-6)
    eigenvalues = np.linalg.eigvalsh(projection.astype(np.float64))
    assert eigenvalues.min() > -1e-6
    exact = np.linalg.inv(
        np.eye(32) + np.asarray(features, np.float64).T @ np.asarray(features, np.float64) / 0.01
    )
    np.testing.assert_allclose(projection, exact, atol=2e-3 * np.abs(exact).max())


# --- degenerate input, and mistakes ---


@pytest.mark.parametrize(
    "signals",
    [
        {"mean_features": {"a": jnp.zeros(SIZE)}},
        {"mean_features": {"a": jnp.full(SIZE, jnp.nan)}},
        {"mean_features": {"a": jnp.ones(SIZE)}, "present": {"a": jnp.bool(False)}},
    ],
)
def test_what_leaves_the_projection_alone(signals: dict[str, Any]) -> None:
    params = {"encoders": {"a": jnp.ones(1)}, "method": {"head": {"kernel": jnp.ones((SIZE, 2))}}}
    tx = mla(labels_of)
    updates, state = tx.update(params, tx.init(params), params, **signals)
    assert np.array_equal(state.root, np.eye(SIZE))
    assert_close(updates, params, 0)


def _update(**signals: Any) -> Any:
    params = {"encoders": {"a": jnp.ones(1)}, "method": {"head": {"kernel": jnp.ones((SIZE, 2))}}}
    tx = mla(labels_of)
    return tx.update(params, tx.init(params), params, **signals)


@pytest.mark.parametrize(
    "mistake, message",
    [
        (lambda: mla(labels_of, alpha=0), r"alpha must be a number in \(0, 1], got 0"),
        (lambda: mla(labels_of, alpha=1.5), r"alpha must be a number in \(0, 1], got 1.5"),
        (lambda: mla(labels_of, alpha=True), r"alpha must be a number in \(0, 1], got True"),
        (lambda: MlaOptions(alpha=-0.1), "alpha=-0.1"),
        (lambda: mla(labels_of, steps_per_epoch=0), "steps_per_epoch .* got 0"),
        (lambda: mla(labels_of, steps_per_epoch=True), "steps_per_epoch .* got True"),
        (
            lambda: mla(labels_of, head="head").init({"encoders": {"a": jnp.ones(1)}}),
            r"head='head' is the path of no parameter; they are \['encoders/a'\]",
        ),
        (
            lambda: mla(labels_of, head="b").init(
                {"encoders": {"a": jnp.ones(1)}, "b": jnp.float32(1)}
            ),
            "'b' is a scalar",
        ),
        (lambda: _update(), "mla misses the signal 'mean_features'"),
        (
            lambda: _update(mean_features={"b": jnp.ones(SIZE)}),
            r"no entry for the modalities \['a'\]",
        ),
        (lambda: _update(mean_features={"a": jnp.ones(3)}), r"shapes \{'a': \(3,\)\}.*\(4,\)"),
        (lambda: _update(mean_features={}, phase="b"), r"phase is 'b'.*\['a'\]"),
    ],
)
def test_mistakes_are_named(mistake: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mistake()


def test_registration() -> None:
    method = parse_method("mla:alpha=0.5")
    assert (method.title, method.signals) == ("MLA α=0.5", ("mean_features",))
    assert parse_method("mla").title == "MLA"
    assert method.schedule.by_modality
    assert method.objective(Context()) == MlaObjective()
    params = jax.tree.map(jnp.float32, nested(initialise(make_network(2))))
    tx = method.transformation(labels_of, Context(steps_per_epoch=3))
    means = {m: jnp.ones(SIZE) for m in params["encoders"]}
    state = tx.init(params)
    for _ in range(2):
        _, state = tx.update(params, state, params, mean_features=means)
    want = jnp.eye(SIZE)
    for a in (0.5, 0.5, 0.5 ** (4 / 3), 0.5 ** (4 / 3)):
        want = absorb(want, means["audio"], jnp.float32(a))
    assert_close(state.root, want, 1e-6)
