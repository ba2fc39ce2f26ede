"""The prototypes of PMR, and inputs without any."""

from __future__ import annotations

import functools
from typing import Any

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.methods.pmr import PmrObjective
from tests.core.reference_network import Array
from tests.methods.pmr_reference import coefficients, cross_entropy, probabilities
from tests.methods.pmr_terms import advance, draw, make_state, terms
from tests.methods.reference_objective import CLASSES, SIZE, ReferenceNetwork


@hypothesis.given(
    seed=st.integers(0, 10_000),
    epoch=st.integers(1, 3),
    momentum=st.sampled_from([0.0, 0.2, 0.9]),
    labels=st.lists(st.lists(st.integers(0, CLASSES - 1), min_size=4, max_size=4), max_size=9),
)
@hypothesis.settings(max_examples=30)
def test_prototypes_are_convex_combinations_of_class_means(
    seed: int, epoch: int, momentum: float, labels: list[list[int]]
) -> None:
    generator = np.random.default_rng(seed)
    objective = PmrObjective(momentum=momentum, steps_per_epoch=epoch)
    state = make_state({"m": np.zeros((CLASSES, SIZE))}, known=False, step=0)
    means: dict[int, list[Array]] = {k: [] for k in range(CLASSES)}
    seen: list[tuple[Array, list[int]]] = []
    for step, classes in enumerate(labels, start=1):
        features = generator.standard_normal((4, SIZE)).astype(np.float32)
        seen.append((features, classes))
        members = np.eye(CLASSES, dtype=np.float32)[classes]
        sums, counts = {"m": members.T @ features}, members.sum(axis=0)
        observed = {"sums": sums, "counts": counts, "report": {}}
        before = state
        state = advance(objective, state, observed)
        if step % epoch:
            assert jnp.array_equal(state.prototypes["m"], before.prototypes["m"])
            continue
        z, y = np.concatenate([z for z, _ in seen]), np.concatenate([y for _, y in seen])
        seen = []
        assert not np.any(state.counts)
        assert not np.any(state.sums["m"])
        for k in range(CLASSES):
            if np.any(y == k):
                means[k].append(z[y == k].mean(axis=0))
            else:
                assert jnp.array_equal(state.prototypes["m"][k], before.prototypes["m"][k])
    for k, history in means.items():
        assert bool(state.known[k]) == bool(history)
        if not history:
            continue
        # The first mean has no predecessor to share with.
        weights = [(1 - momentum) * momentum**i for i in range(len(history) - 1)]
        weights.append(momentum ** (len(history) - 1))
        np.testing.assert_allclose(sum(weights), 1, rtol=1e-9)
        want = sum(w * mean for w, mean in zip(weights, reversed(history), strict=True))
        np.testing.assert_allclose(state.prototypes["m"][k], want, rtol=1e-4, atol=1e-5)


def test_a_class_without_prototype_takes_no_part(x64: None) -> None:
    """As if the class did not exist, and its samples were not in the batch."""
    features, prototypes, _ = draw(8, "audio", "video")
    labels = np.array([0, 2, 1, 0, 1], np.int32)
    state = make_state(prototypes, known=[True, True, False], dtype=jnp.float64)
    value, gradients = terms(PmrObjective(mu=0.0, steps_per_epoch=1), features, labels, state)
    known = labels < 2
    rows = {m: f[known] for m, f in features.items()}
    scores = {
        m: float(probabilities(f, prototypes[m][:2])[np.arange(4), labels[known]].sum())
        for m, f in rows.items()
    }
    beta = coefficients(scores)["video"][0]
    pce, gradient = cross_entropy(rows["video"], prototypes["video"][:2], labels[known])
    assert beta > 0
    np.testing.assert_allclose(value, beta * pce, rtol=1e-9)
    np.testing.assert_allclose(gradients["video"][known], beta * gradient, rtol=1e-8)
    assert not np.any(gradients["video"][~known])


# --- degenerate inputs ---


@pytest.mark.parametrize("known", [False, [True, False, False]])
def test_nothing_is_nan_where_features_are_their_prototypes(known: Any) -> None:
    zeros = {m: np.zeros((CLASSES, SIZE)) for m in ("audio", "video")}
    features = {m: np.zeros((2, SIZE)) for m in zeros}
    for labels in ([0, 0], [1, 2]):
        state = make_state(zeros, known=known)
        value, gradients = terms(
            PmrObjective(steps_per_epoch=1), features, np.array(labels, np.int32), state
        )
        assert value == 0
        assert all(not np.any(g) for g in gradients.values())


def test_scores_that_vanish_give_the_largest_coefficient() -> None:
    prototypes = {m: np.eye(CLASSES, SIZE) for m in ("audio", "video")}
    prototypes["video"][1:] *= 1e4
    features = {"audio": np.eye(CLASSES, SIZE)[:1], "video": 1e4 * np.eye(CLASSES, SIZE)[1:2]}
    value, gradients = terms(
        PmrObjective(mu=0.0, steps_per_epoch=1),
        features,
        np.zeros(1, np.int32),
        make_state(prototypes),
    )
    np.testing.assert_allclose(value, 1e4, rtol=1e-3)
    assert all(np.all(np.isfinite(g)) for g in gradients.values())


def test_narrow_features_are_summed_in_float32() -> None:
    network = ReferenceNetwork("audio")
    params = {"fusion": {"w": jnp.zeros((SIZE, CLASSES), jnp.bfloat16), "b": jnp.zeros(CLASSES)}}
    params["heads"] = {"audio": params["fusion"]}
    objective = PmrObjective()
    state = objective.init_state(network, jax.tree.map(lambda x: x.astype(jnp.bfloat16), params))
    features = {"audio": jnp.ones((300, SIZE), jnp.bfloat16)}
    narrow = jax.tree.map(lambda x: x.astype(jnp.bfloat16), params)
    losses = jax.jit(functools.partial(objective.losses, network))
    outcome = losses(narrow, features, jnp.zeros(300, jnp.int32), state)
    assert outcome.fusion.dtype == jnp.float32
    # bfloat16 has no 300: sums in it would stop at 256.
    assert float(advance(objective, state, outcome.observed).prototypes["audio"][0, 0]) == 1
    assert float(outcome.observed["counts"][0]) == 300
