"""PMR against a NumPy reference, its prototypes, and which encoder it touches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.methods import Context, parse_method
from masam_jax.methods.pmr import PmrObjective, PmrOptions
from masam_jax.training.interrupt import InterruptedRun
from tests.core.reference_network import draw_batches, initialise, nested
from tests.methods import small_runs
from tests.methods.pmr_reference import (
    ReferencePmr,
    coefficients,
    cross_entropy,
    entropy,
    probabilities,
)
from tests.methods.pmr_terms import draw, make_state, terms
from tests.methods.reference_objective import CLASSES, SIZE, ReferenceNetwork, value_and_grad

# --- the paper's rule, step by step ---


@pytest.mark.parametrize(
    "count, epoch, momentum", [(1, 2, 0.2), (2, 1, 0.2), (2, 2, 0.6), (3, 2, 0.2), (4, 3, 0.0)]
)
def test_trajectory_of_the_reference(x64: None, count: int, epoch: int, momentum: float) -> None:
    names = ("text", "audio", "video", "depth")[:count]
    dimensions = {m: 3 + i for i, m in enumerate(names)}
    parameters = initialise(7, dimensions)
    batches = draw_batches(8, dimensions, steps=9, size=12)
    settings = {"alpha": 1.7, "mu": 0.4, "momentum": momentum}
    reference = ReferencePmr(**settings, epoch=epoch, regularized=2)
    objective = PmrObjective(**settings, steps_per_epoch=epoch, regularized_epochs=2)
    network = ReferenceNetwork(*names)
    gradients_of = value_and_grad(objective, network, weight=0.0)

    @jax.jit
    def step(params: Any, state: Any, batch: Any) -> Any:
        losses, grads, _ = gradients_of(params, batch.inputs, batch.labels, state)
        moved = jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)
        return moved, objective.advance(state, losses.aux), losses.total

    params = jax.tree.map(jnp.asarray, nested(parameters))
    state = objective.init_state(network, params)
    for batch in batches:
        value, gradient = reference.value_and_gradient(parameters, batch)
        reference.advance()
        parameters = {k: p - 0.1 * gradient[k] for k, p in parameters.items()}
        params, state, loss = step(params, state, batch)
        np.testing.assert_allclose(loss, value, rtol=1e-10)
        for m, prototypes in reference.prototypes.items():
            np.testing.assert_allclose(state.prototypes[m], prototypes, rtol=1e-9, atol=1e-10)
        chex.assert_trees_all_close(params, nested(parameters), rtol=1e-09, atol=1e-10)


@pytest.mark.parametrize("step, early", [(0, True), (9, True), (10, False)])
def test_only_the_weaker_is_drawn_and_the_stronger_is_held_back_while_early(
    x64: None, step: int, early: bool
) -> None:
    features, prototypes, labels = draw(0, "audio", "video")
    objective = PmrObjective(alpha=2.0, mu=0.3, steps_per_epoch=2, regularized_epochs=5)
    state = make_state(prototypes, step=step, dtype=jnp.float64)
    value, gradients = terms(objective, features, labels, state)
    scores = {
        m: sum(probabilities(features[m], prototypes[m])[i, y] for i, y in enumerate(labels))
        for m in features
    }
    beta, gamma = coefficients(scores)["video"][0], coefficients(scores)["audio"][1]
    assert scores["audio"] > scores["video"]
    assert gamma == beta > 0
    pce, pce_gradient = cross_entropy(features["video"], prototypes["video"], labels)
    h, h_gradient = entropy(features["audio"], prototypes["audio"])
    np.testing.assert_allclose(value, 2 * beta * pce - early * 0.3 * gamma * h, rtol=1e-9)
    np.testing.assert_allclose(gradients["video"], 2 * beta * pce_gradient, rtol=1e-8)
    np.testing.assert_allclose(gradients["audio"], -early * 0.3 * gamma * h_gradient, rtol=1e-8)


def test_hand_derivatives_are_central_differences() -> None:
    features, prototypes, labels = draw(1, "audio")
    z, c = features["audio"], prototypes["audio"]
    for function in (lambda x: cross_entropy(x, c, labels), lambda x: entropy(x, c)):
        for i, j in ((0, 0), (2, 3)):
            shift = np.zeros_like(z)
            shift[i, j] = 1e-5
            numeric = (function(z + shift)[0] - function(z - shift)[0]) / 2e-5
            np.testing.assert_allclose(function(z)[1][i, j], numeric, rtol=1e-6, atol=1e-9)


def test_binary_coefficients_are_the_releases(x64: None) -> None:
    features, prototypes, labels = draw(2, "audio", "video")
    state = make_state(prototypes, dtype=jnp.float64)
    objective = PmrObjective(mu=0.0, coefficients="binary", steps_per_epoch=1)
    value, gradients = terms(objective, features, labels, state)
    pce, gradient = cross_entropy(features["video"], prototypes["video"], labels)
    np.testing.assert_allclose(value, pce, rtol=1e-9)
    np.testing.assert_allclose(gradients["video"], gradient, rtol=1e-8)
    assert not np.any(gradients["audio"])


def test_equal_modalities_are_left_alone() -> None:
    features, prototypes, labels = draw(3, "audio")
    features["video"], prototypes["video"] = features["audio"], prototypes["audio"]
    for kind in ("ratio", "binary"):
        objective = PmrObjective(mu=0.3, coefficients=kind, steps_per_epoch=1)
        value, gradients = terms(objective, features, labels, make_state(prototypes))
        assert value == 0
        assert all(not np.any(g) for g in gradients.values())


def test_of_three_the_others_mean_decides(x64: None) -> None:
    features, prototypes, labels = draw(4, "audio", "text", "video")
    state = make_state(prototypes, dtype=jnp.float64)
    value, gradients = terms(PmrObjective(mu=0.0, steps_per_epoch=1), features, labels, state)
    scores = {
        m: float(probabilities(features[m], prototypes[m])[np.arange(5), labels].sum())
        for m in features
    }
    assert scores["audio"] > max(scores["text"], scores["video"])
    assert not np.any(gradients["audio"])
    want = 0.0
    for m in ("text", "video"):
        others = np.mean([scores[n] for n in scores if n != m])
        beta = np.clip(others / scores[m] - 1, 0, 1)
        want += beta * cross_entropy(features[m], prototypes[m], labels)[0]
    assert want > 0
    np.testing.assert_allclose(value, want, rtol=1e-9)


@pytest.mark.parametrize("step, epochs, acts", [(3, 2, True), (4, 2, False), (10_000, 0, True)])
def test_modulation_ends(step: int, epochs: int, acts: bool) -> None:
    features, prototypes, labels = draw(5, "audio", "video")
    objective = PmrObjective(steps_per_epoch=2, modulation_epochs=epochs)
    value, gradients = terms(objective, features, labels, make_state(prototypes, step=step))
    assert (value != 0) == acts
    assert np.any(gradients["video"]) == acts


def test_the_coefficient_is_one_at_most(x64: None) -> None:
    """A sample of the stronger at its prototype, of the weaker at another class's, 9 away."""
    line = np.repeat(4.5 * np.arange(CLASSES)[:, None], SIZE, axis=1)
    prototypes = {"audio": line, "video": line}
    features = {"audio": prototypes["audio"][:1] + 0.1, "video": prototypes["video"][1:2] + 0.1}
    labels, state = np.zeros(1, np.int32), make_state(prototypes, dtype=jnp.float64)
    value, gradients = terms(PmrObjective(mu=0.0), features, labels, state)
    pce, gradient = cross_entropy(features["video"], prototypes["video"], labels)
    np.testing.assert_allclose(value, pce, rtol=1e-9)
    np.testing.assert_allclose(gradients["video"], gradient, rtol=1e-8, atol=1e-12)


def test_scores_are_constants_to_the_gradient() -> None:
    """Else the modality that is ahead would be pushed back through its score."""
    features, prototypes, labels = draw(6, "audio", "video")
    _, gradients = terms(
        PmrObjective(mu=0.0, steps_per_epoch=1), features, labels, make_state(prototypes)
    )
    assert np.any(gradients["video"])
    assert not np.any(gradients["audio"])


# --- as a method ---


@pytest.mark.parametrize(
    "option, value",
    [
        ("alpha", -1.0),
        ("mu", float("inf")),
        ("momentum", 1.0),
        ("regularized_epochs", -1),
        ("modulation_epochs", -1),
        ("weight", -0.5),
        ("coefficients", "signs"),
    ],
)
def test_options_are_checked(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        PmrOptions(**{option: value})


def test_specification() -> None:
    spec = "alpha=2,momentum=0.9,regularized_epochs=3,modulation_epochs=5,coefficients=binary"
    method = parse_method(f"pmr:{spec},weight=0.5")
    title = "PMR α=2, μ=0.01, ε=0.9, entropy 3 epochs, 5 epochs, binary, λ=0.5"
    assert method.title == title
    objective = method.objective(Context(7, 100))
    assert objective == PmrObjective(
        alpha=2.0,
        momentum=0.9,
        steps_per_epoch=7,
        regularized_epochs=3,
        modulation_epochs=5,
        coefficients="binary",
    )
    assert method.loss_weight == 0.5
    assert parse_method("pmr").loss_weight == 0
    assert parse_method("pmr").title == "PMR α=1, μ=0.01"
    assert parse_method("pmr:modulation_epochs=0").title == "PMR α=1, μ=0.01, all epochs"


def test_a_run_resumes_bit_for_bit(tmp_path: Path) -> None:
    problem = small_runs.small_problem(2, steps=8)
    whole = small_runs.run(problem, "pmr", tmp_path / "whole")
    with pytest.raises(InterruptedRun):
        small_runs.run(problem, "pmr", tmp_path / "parts", stop=4)
    parts = small_runs.run(problem, "pmr", tmp_path / "parts")
    assert small_runs.numbers(parts) == small_runs.numbers(whole)
    states = [
        small_runs.saved_state(problem, "pmr", tmp_path / name) for name in ("whole", "parts")
    ]
    assert jax.tree.all(jax.tree.map(np.array_equal, *states))
    state = states[0].method_state
    assert state.step.tolist() == [8, 8]
    # Two epochs of three steps are over, and two steps of eight samples of the third.
    assert np.all(state.known)
    assert state.counts.sum(axis=1).tolist() == [16, 16]
    assert all(np.any(c) and np.all(np.isfinite(c)) for c in state.prototypes.values())
    # Both seeds have prototypes of their own.
    assert not np.array_equal(state.prototypes["m0"][0], state.prototypes["m0"][1])
