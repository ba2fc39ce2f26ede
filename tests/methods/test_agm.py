"""AGM against its equations in NumPy, and its defining properties."""

from __future__ import annotations

import functools
import math
from typing import Any

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax.methods import Context
from masam_jax.methods.agm import AGM, AgmOptions, agm
from tests.core.networks import labels_of
from tests.core.reference_network import draw_batches, initialise, nested
from tests.methods.agm_reference import AgmReference
from tests.methods.modulation_training import make_step

NAMES = ("audio", "text", "video")
DIMENSIONS = {"audio": 5, "text": 4, "video": 3}
LABELS = {**{m: m for m in NAMES}, "other": "other"}
SHAPES = {"b": (3,), "conv": (2, 2, 2, 3), "w": (2, 4)}
LOSSES = st.lists(st.lists(st.floats(0.0, 20.0), min_size=3, max_size=3), min_size=1, max_size=6)
few = hypothesis.settings(max_examples=40)


def _gradients(names: tuple[str, ...] = NAMES) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    return {
        group: {k: jnp.asarray(generator.standard_normal(shape)) for k, shape in SHAPES.items()}
        for group in (*names, "other")
    }


@functools.cache
def _compiled(names: tuple[str, ...], options: tuple[tuple[str, Any], ...]) -> Any:
    @jax.jit
    def update(gradients: Any, losses: Any, state: Any, alpha: Any) -> tuple[Any, Any]:
        tx = agm({**{m: m for m in names}, "other": "other"}, alpha=alpha, **dict(options))
        state = tx.init(gradients) if state is None else state
        return tx.update(gradients, state, gradients, response_losses=losses)

    return update


def _update(losses: Any, state: Any = None, alpha: float = 1.0, **options: Any) -> tuple[Any, Any]:
    names = tuple(losses)
    return _compiled(names, tuple(options.items()))(_gradients(names), losses, state, alpha)


def _run(rows: list[list[float]], **options: Any) -> tuple[Any, list[np.ndarray]]:
    """The last updates, and κ of every step."""
    updates, state, coefficients = None, None, []
    for row in rows:
        updates, state = _update(dict(zip(NAMES, row, strict=True)), state, **options)
        coefficients.append(np.asarray(_values(state.coefficients)))
    return updates, coefficients


def _values(of_modalities: dict[str, Any]) -> list[float]:
    return [float(of_modalities[m]) for m in sorted(of_modalities)]


def _equal(got: Any, want: Any) -> bool:
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True)
    return all(bool((a == b).all()) for a, b in pairs)


# --- the reference ---


@pytest.mark.parametrize(
    "count, reference", [(1, "mean_loss"), (2, "mean_loss"), (3, "mean_loss"), (3, "mean_ratio")]
)
def test_equals_the_reference(count: int, reference: Any, x64: None) -> None:
    """Eight steps on a hand-differentiated network, with a limit that is met on the way."""
    names = NAMES[:count]
    dimensions = {m: DIMENSIONS[m] for m in names}
    parameters = initialise(0, dimensions)
    by_hand = AgmReference(alpha=0.8, limit=0.3, reference=reference)
    tx = optax.chain(agm(labels_of, alpha=0.8, limit=0.3, reference=reference), optax.sgd(0.3))
    params = jax.tree.map(jnp.asarray, nested(parameters))
    state, step, seen = tx.init(params), make_step(tx, names, loss_weights=0.0), []
    for batch in draw_batches(1, dimensions, steps=8):
        parameters, kappa = by_hand.step(parameters, batch, 0.3)
        seen += kappa.values()
        params, state, _ = step(params, state, jax.tree.map(jnp.asarray, batch))
        chex.assert_trees_all_close(params, nested(parameters), rtol=1e-08, atol=1e-08)
        np.testing.assert_allclose(_values(state[0].coefficients), _values(kappa), rtol=1e-8)
    if count == 1:
        assert set(seen) == {1.0}
    else:
        assert min(seen) < 0.9
        assert max(seen) == math.exp(0.8 * 0.3), "the limit was not met"


# --- what defines it ---


@few
@hypothesis.given(
    rows=LOSSES, alpha=st.floats(0.0, 3.0), reference=st.sampled_from(["mean_loss", "mean_ratio"])
)
def test_scales_the_encoders_alone_and_by_no_more_than_the_limit(
    rows: list[list[float]], alpha: float, reference: str
) -> None:
    updates, coefficients = _run(rows, alpha=alpha, reference=reference)
    gradients = _gradients()
    assert _equal(updates["other"], gradients["other"])
    for m, factor in zip(NAMES, coefficients[-1], strict=True):
        assert 0 <= factor <= math.exp(7 * alpha) * (1 + 1e-5)
        scaled = jax.tree.map(lambda g, factor=factor: g * factor, gradients[m])
        chex.assert_trees_all_equal(updates[m], scaled)


@few
@hypothesis.given(row=st.lists(st.floats(0.0, 3.0), min_size=3, max_size=3))
def test_a_modality_that_pulls_ahead_of_its_average_is_slowed_down(row: list[float]) -> None:
    """Half a nat less loss for text alone: κ < 1 for it, > 1 for both others."""
    _, coefficients = _run([row, row, [row[0], row[1] - 0.5, row[2]]])
    audio, text, video = coefficients[-1]
    assert text < 1 - 1e-3
    assert audio > 1 + 1e-3
    assert video > 1 + 1e-3


@few
@hypothesis.given(row=st.lists(st.floats(0.0, 5.0), min_size=3, max_size=3), shift=st.floats(-2, 2))
def test_losses_that_move_together_change_nothing(row: list[float], shift: float) -> None:
    _, coefficients = _run([row, [s + shift for s in row], row])
    np.testing.assert_allclose(coefficients[1:], 1, atol=2e-3)


def test_the_first_step_is_measured_against_equal_modalities() -> None:
    _, coefficients = _run([[0.5, 1.0, 1.5]])
    np.testing.assert_allclose(
        coefficients[0], [math.exp(1 - math.exp(r)) for r in (0.75, 0.0, -0.75)], rtol=1e-6
    )


def test_the_references_differ() -> None:
    rows = [[0.0, 1.0, 2.0], [2.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    by_loss, by_ratio = (_run(rows, reference=r)[1][-1] for r in ("mean_loss", "mean_ratio"))
    np.testing.assert_allclose(by_loss, 1, rtol=1e-6)
    mean = (math.exp(1.5) + math.exp(-1.5)) / 2
    np.testing.assert_allclose(by_ratio, [math.exp(mean - 1), 1, math.exp(mean - 1)], rtol=1e-6)


def test_one_modality_is_left_alone() -> None:
    state = None
    for loss in (3.0, 0.1, 9.0):
        updates, state = _update({"audio": loss}, state)
        assert _equal(updates, _gradients(("audio",)))


@pytest.mark.parametrize(
    "tensors, modulated", [("matrices", {"conv", "w"}), ("convolutions", {"conv"})]
)
def test_tensors_chooses_among_the_leaves_of_an_encoder(tensors: Any, modulated: set[str]) -> None:
    gradients = _gradients()
    updates, _ = _run([[1.0, 2.0, 4.0]], tensors=tensors)
    touched = {
        m: {k for k in SHAPES if not _equal(updates[m][k], gradients[m][k])} for m in updates
    }
    assert touched == {**dict.fromkeys(NAMES, modulated), "other": set()}


def test_the_averages_go_on_after_until_step() -> None:
    rows, states = [[0.0, 1.0, 2.0], [1.0, 1.0, 0.0]], []
    for until_step in (None, 1):
        state = None
        for step, row in enumerate(rows):
            losses = dict(zip(NAMES, row, strict=True))
            updates, state = _update(losses, state, until_step=until_step)
            assert _equal(updates, _gradients()) == (until_step == step)
        states.append(np.asarray(state.mean))
    np.testing.assert_array_equal(*states)
    np.testing.assert_allclose(states[0], [0.5, 1.0, 1.0])


# --- degenerate inputs ---


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_never_enters_an_average(bad: float) -> None:
    rows = [[1.0, 2.0, 3.0], [1.0, bad, 3.0], [1.0, 2.0, 3.0]]
    updates, coefficients = _run(rows)
    assert coefficients[1][1] == 1
    np.testing.assert_allclose(coefficients[1:], 1, rtol=1e-6)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(updates))


def test_an_absent_modality_keeps_its_average() -> None:
    tx, gradients = agm(LABELS), _gradients()
    losses = dict.fromkeys(NAMES, 1.0)
    _, state = tx.update(gradients, tx.init(gradients), response_losses=losses)
    absent = {"text": jnp.asarray(False)}
    _, state = tx.update(gradients, state, response_losses={**losses, "text": 9.0}, present=absent)
    np.testing.assert_array_equal(state.mean, 1)
    np.testing.assert_array_equal(state.observed, [2, 1, 2])
    np.testing.assert_array_equal(_values(state.coefficients), 1)


@pytest.mark.parametrize("row", [[0.0, 0.0, 0.0], [1e30, 0.0, -1e30], [3e38, 3e38, 3e38]])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 1e6])
@pytest.mark.parametrize("reference", ["mean_loss", "mean_ratio"])
def test_finite_losses_give_finite_updates(row: list[float], alpha: float, reference: str) -> None:
    updates, coefficients = _run([row, row[::-1], row], alpha=alpha, reference=reference)
    assert np.isfinite(coefficients).all()
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(updates))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"alpha": -0.1}, "alpha must be a finite number"),
        ({"limit": float("inf")}, "limit must be a finite number"),
        ({"reference": "mean"}, "reference must be one of"),
        ({"tensors": "biases"}, "tensors must be one of"),
        ({"until_step": True}, "until_step must be an integer >= 0"),
    ],
)
def test_arguments_out_of_range_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        agm(LABELS, **options)


@pytest.mark.parametrize(
    "signals, message",
    [
        ({}, "agm misses the signal 'response_losses'"),
        ({"response_losses": {"text": 1.0}}, r"no entry for the modalities \['audio', 'video'\]"),
        ({"response_losses": dict.fromkeys(NAMES, jnp.ones(4))}, "scalar for each modality"),
    ],
)
def test_signals_that_do_not_fit_are_named(signals: dict[str, Any], message: str) -> None:
    tx, gradients = agm(LABELS), _gradients()
    with pytest.raises(ValueError, match=message):
        tx.update(gradients, tx.init(gradients), gradients, **signals)


# --- in the registry ---


def test_registration() -> None:
    assert AGM.title(AgmOptions()) == "AGM α=1"
    options = AgmOptions(
        alpha=2.5,
        limit=10,
        reference="mean_ratio",
        tensors="matrices",
        modulation_epochs=2,
        weight=1,
    )
    title = "AGM α=2.5, limit=10, mean of ratios, matrices, 2 epochs, λ=1"
    assert AGM.title(options) == title
    assert (AGM.loss_weight(AgmOptions()), AGM.loss_weight(options)) == (0.0, 1)
    tx = AGM.build(options, LABELS, Context(steps_per_epoch=2))
    gradients, modulated = _gradients(), []
    state = tx.init(gradients)
    for step in range(5):
        losses = {"audio": float(step), "text": 0.0, "video": 3.0}
        updates, state = tx.update(gradients, state, response_losses=losses)
        modulated.append(not _equal(updates, gradients))
    assert modulated == [True] * 4 + [False]


@pytest.mark.parametrize(
    "options", [{"alpha": -1}, {"limit": -1}, {"modulation_epochs": -1}, {"weight": -1}]
)
def test_options_out_of_range_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        AgmOptions(**options)
