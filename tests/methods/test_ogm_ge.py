"""OGM-GE against its equations in NumPy, its defining properties, and with MASAM behind it."""

from __future__ import annotations

import functools
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
from masam_jax.methods.ogm_ge import OGM_GE, OgmGeOptions, ogm_ge
from tests.core.networks import labels_of
from tests.core.reference_network import draw_batches, initialise, nested
from tests.methods import ogm_ge_reference as reference
from tests.methods.modulation_training import make_step, unit_noise

NAMES = ("audio", "text", "video")
DIMENSIONS = {"audio": 5, "text": 4, "video": 3}
LABELS = {**{m: m for m in NAMES}, "other": "other"}
SHAPES = {"b": (3,), "conv": (2, 2, 2, 3), "w": (2, 4)}
CONFIDENCES = st.lists(st.floats(0.0, 64.0), min_size=1, max_size=3)
few = hypothesis.settings(max_examples=40)


def _gradients(seed: int, names: tuple[str, ...] = NAMES) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    return {
        group: {k: jnp.asarray(generator.standard_normal(shape)) for k, shape in SHAPES.items()}
        for group in (*names, "other")
    }


def _labels(names: tuple[str, ...]) -> dict[str, str]:
    return {**{m: m for m in names}, "other": "other"}


@functools.cache
def _compiled(names: tuple[str, ...], options: tuple[tuple[str, Any], ...]) -> Any:
    @jax.jit
    def update(gradients: Any, confidence: Any, state: Any, alpha: Any) -> tuple[Any, Any]:
        tx = ogm_ge(_labels(names), alpha=alpha, **dict(options))
        state = tx.init(gradients) if state is None else state
        return tx.update(gradients, state, gradients, confidence=confidence)

    return update


def _update(
    gradients: Any, confidence: Any, state: Any = None, alpha: float = 0.3, **options: Any
) -> tuple[Any, Any]:
    names = tuple(group for group in gradients if group != "other")
    return _compiled(names, tuple(options.items()))(gradients, confidence, state, alpha)


def _leaves_equal(got: Any, want: Any) -> bool:
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True)
    return all(bool((a == b).all()) for a, b in pairs)


def _values(of_modalities: dict[str, Any]) -> list[float]:
    return [float(of_modalities[m]) for m in sorted(of_modalities)]


# --- the reference ---


@pytest.mark.parametrize("count, noise", [(1, True), (2, False), (3, True)])
def test_equals_the_reference(count: int, noise: bool, x64: None) -> None:
    """Eight steps on a hand-differentiated network; the noise is the gradient's std times ξ."""
    names = NAMES[:count]
    dimensions = {m: DIMENSIONS[m] for m in names}
    parameters = initialise(0, dimensions)
    batches, key = draw_batches(1, dimensions, steps=8), jax.random.key(3)
    draws = unit_noise(parameters, len(batches), key) if noise else [None] * len(batches)
    tx = optax.chain(ogm_ge(labels_of, alpha=0.4, noise=noise, key=key), optax.sgd(0.3))
    params = jax.tree.map(jnp.asarray, nested(parameters))
    state, damped = tx.init(params), set()
    jax_step = make_step(tx, names, loss_weights=0.0)
    for batch, draw in zip(batches, draws, strict=True):
        parameters, k = reference.step(parameters, batch, draw, alpha=0.4, learning_rate=0.3)
        damped |= {m for m in k if k[m] < 1}
        params, state, _ = jax_step(params, state, jax.tree.map(jnp.asarray, batch))
        chex.assert_trees_all_close(params, nested(parameters), rtol=1e-08, atol=1e-08)
        np.testing.assert_allclose(_values(state[0].coefficients), _values(k), rtol=1e-8)
    assert len(damped) == (0 if count == 1 else count), "a modality was never ahead"


# --- what defines it ---


@few
@hypothesis.given(p=CONFIDENCES, alpha=st.floats(0.0, 2.0))
def test_only_modalities_that_are_ahead_are_held_back(p: list[float], alpha: float) -> None:
    names = NAMES[: len(p)]
    gradients = _gradients(0, names)
    confidence = dict(zip(names, p, strict=True))
    updates, state = _update(gradients, confidence, alpha=alpha, noise=False)
    weakest = min(names, key=lambda m: confidence[m])
    assert _leaves_equal(updates[weakest], gradients[weakest])
    assert _leaves_equal(updates["other"], gradients["other"])
    coefficients = {m: np.asarray(k) for m, k in state.coefficients.items()}
    for m in names:
        assert 0 <= coefficients[m] <= 1
        scaled = jax.tree.map(lambda g, m=m: coefficients[m] * g, gradients[m])
        chex.assert_trees_all_equal(updates[m], scaled)
    ordered = [coefficients[m] for m in sorted(names, key=lambda m: confidence[m])]
    assert ordered == sorted(ordered, reverse=True), "the further ahead, the smaller k"


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_the_ratio_alone_counts(scale: float) -> None:
    confidence = {"audio": 3.0 * scale, "text": scale, "video": 2.0 * scale}
    _, state = _update(_gradients(0), confidence, alpha=0.5, noise=False)
    want = [1 - np.tanh(0.5 * 2.0), 1.0, 1.0]
    np.testing.assert_allclose(_values(state.coefficients), want, rtol=1e-6)


def test_noise_has_the_standard_deviation_of_each_tensor() -> None:
    generator = np.random.default_rng(0)
    deviations = {"audio": 0.01, "video": 5.0, "other": 1.0}
    gradients = {
        m: jnp.asarray(2.0 + std * generator.standard_normal((100, 100)), jnp.float32)
        for m, std in deviations.items()
    }
    confidence = {"audio": 1.0, "video": 4.0}
    k = {"audio": 1.0, "video": 1 - np.tanh(0.3 * 4.0)}
    first, state = _update(gradients, confidence)
    second, _ = _update(gradients, confidence, state)
    again, _ = _update(gradients, confidence, state)
    other = ogm_ge(_labels(tuple(k)), key=jax.random.PRNGKey(7))
    other_key, _ = other.update(gradients, other.init(gradients), confidence=confidence)
    assert _leaves_equal(second, again)
    assert _leaves_equal(first["other"], gradients["other"])
    draws = [
        (np.asarray(updates[m]) - k[m] * np.asarray(gradients[m])) / deviations[m]
        for updates in (first, second, other_key)
        for m in k
    ]
    correlation = np.corrcoef([draw.ravel() for draw in draws])
    for draw in draws:
        assert abs(draw.mean()) < 0.04
        assert abs(draw.std() - 1) < 0.03
    assert np.abs(correlation - np.eye(len(draws))).max() < 0.05


def test_standard_deviation_is_that_of_a_sample() -> None:
    """Of 0 and 2 it is √2, for which a tensor of a few entries needs many draws."""
    gradients = {"a": jnp.asarray([0.0, 2.0])}

    def draw(key: jax.Array) -> jax.Array:
        tx = ogm_ge({"a": "a"}, key=key)
        updates, _ = tx.update(gradients, tx.init(gradients), confidence={"a": 1.0})
        return updates["a"] - gradients["a"]

    draws = jax.vmap(draw)(jax.random.split(jax.random.key(0), 10_000))
    np.testing.assert_allclose(draws.std(axis=0), 2**0.5, rtol=0.03)


@pytest.mark.parametrize(
    "tensors, modulated", [("matrices", {"conv", "w"}), ("convolutions", {"conv"})]
)
@pytest.mark.parametrize("noise", [False, True])
def test_tensors_chooses_among_the_leaves_of_an_encoder(
    tensors: Any, modulated: set[str], noise: bool
) -> None:
    gradients = _gradients(0)
    confidence = {"audio": 9.0, "text": 1.0, "video": 1.0}
    updates, _ = _update(gradients, confidence, noise=noise, tensors=tensors)
    touched = {
        m: {k for k in SHAPES if not _leaves_equal(updates[m][k], gradients[m][k])} for m in updates
    }
    weaker = modulated if noise else set()
    assert touched == {"audio": modulated, "text": weaker, "video": weaker, "other": set()}


def test_modulation_ends_at_until_step() -> None:
    gradients, confidence = _gradients(0), {"audio": 9.0, "text": 1.0, "video": 1.0}
    modulated, state = _update(gradients, confidence, until_step=1)
    assert not _leaves_equal(modulated["audio"], gradients["audio"])
    assert not _leaves_equal(modulated["text"], gradients["text"])
    after, _ = _update(gradients, confidence, state, until_step=1)
    assert _leaves_equal(after, gradients)


# --- degenerate inputs ---


@pytest.mark.parametrize(
    "confidence, want",
    [
        ({"audio": 0.0, "text": 0.0, "video": 0.0}, [1.0, 1.0, 1.0]),
        ({"audio": 64.0, "text": 0.0, "video": 0.0}, [0.0, 1.0, 1.0]),
        ({"audio": np.nan, "text": 4.0, "video": 1.0}, [1.0, 1 - np.tanh(1.2), 1.0]),
        ({"audio": np.nan, "text": np.inf, "video": 1.0}, [1.0, 1.0, 1.0]),
    ],
)
def test_degenerate_confidences(confidence: dict[str, float], want: list[float]) -> None:
    updates, state = _update(_gradients(0), confidence)
    np.testing.assert_allclose(_values(state.coefficients), want, rtol=1e-5)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(updates))


def test_an_absent_modality_is_no_rival() -> None:
    tx = ogm_ge(LABELS, noise=False)
    gradients = _gradients(0)
    _, state = tx.update(
        gradients,
        tx.init(gradients),
        confidence={"audio": 0.1, "text": 4.0, "video": 1.0},
        present={"audio": jnp.asarray(False)},
    )
    np.testing.assert_allclose(_values(state.coefficients), [1.0, 1 - np.tanh(1.2), 1.0], rtol=1e-5)


def test_zero_gradients_and_single_entries_get_no_noise() -> None:
    """Nor does a NaN arise on the way where nothing is confident."""
    gradients = {"a": {"zero": jnp.zeros((2, 2)), "one": jnp.ones(1)}, "b": jnp.ones(())}
    tx = ogm_ge({"a": "a", "b": "b"})
    with jax.debug_nans(True):
        updates, _ = tx.update(gradients, tx.init(gradients), confidence={"a": 0.0, "b": 0.0})
    assert _leaves_equal(updates, gradients)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"alpha": -0.1}, "alpha must be a finite number"),
        ({"alpha": float("nan")}, "alpha must be a finite number"),
        ({"alpha": "0.3"}, "alpha must be a finite number"),
        ({"noise": 1}, "noise must be True or False"),
        ({"tensors": "biases"}, "tensors must be one of"),
        ({"until_step": -1}, "until_step must be an integer >= 0"),
        ({"until_step": 1.5}, "until_step must be an integer >= 0"),
    ],
)
def test_arguments_out_of_range_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ogm_ge(LABELS, **options)


@pytest.mark.parametrize(
    "signals, message",
    [
        ({}, "ogm_ge misses the signal 'confidence'"),
        ({"confidence": 1.0}, "ogm_ge misses the signal 'confidence'"),
        (
            {"confidence": {"audio": 1.0}},
            r"confidence has no entry for the modalities \['text', 'video'\]",
        ),
        ({"confidence": dict.fromkeys(NAMES, jnp.ones(4))}, "scalar for each modality"),
    ],
)
def test_signals_that_do_not_fit_are_named(signals: dict[str, Any], message: str) -> None:
    tx, gradients = ogm_ge(LABELS), _gradients(0)
    with pytest.raises(ValueError, match=message):
        tx.update(gradients, tx.init(gradients), gradients, **signals)


def test_labels_without_a_modality_are_refused() -> None:
    with pytest.raises(ValueError, match="labels name no modality"):
        ogm_ge(dict.fromkeys(LABELS, "other")).init(_gradients(0))


# --- in the registry ---


def test_registration() -> None:
    assert OGM_GE.title(OgmGeOptions()) == "OGM-GE α=0.3"
    options = OgmGeOptions(noise=False, tensors="matrices", modulation_epochs=2, weight=1)
    assert OGM_GE.title(options) == "OGM α=0.3, matrices, 2 epochs, λ=1"
    assert (OGM_GE.loss_weight(OgmGeOptions()), OGM_GE.loss_weight(options)) == (0.0, 1)
    gradients, confidence = _gradients(0), {"audio": 9.0, "text": 1.0, "video": 1.0}
    tx = OGM_GE.build(options, LABELS, Context(steps_per_epoch=2))
    state, modulated = tx.init(gradients), []
    for _ in range(5):
        updates, state = tx.update(gradients, state, confidence=confidence)
        modulated.append(not _leaves_equal(updates, gradients))
    assert modulated == [True] * 4 + [False]


@pytest.mark.parametrize(
    "options, steps",
    [
        ({"modulation_share": 0.5}, 5),
        ({"modulation_share": 0.5, "modulation_epochs": 2}, 4),
        ({"modulation_share": 0.3, "modulation_epochs": 2}, 3),
        ({}, 10),
    ],
)
def test_a_share_of_the_run_is_modulated(options: dict[str, Any], steps: int) -> None:
    gradients, confidence = _gradients(0), {"audio": 9.0, "text": 1.0, "video": 1.0}
    tx = OGM_GE.build(OgmGeOptions(**options), LABELS, Context(steps_per_epoch=2, steps=10))
    state, modulated = tx.init(gradients), 0
    for _ in range(10):
        _, state = tx.update(gradients, state, confidence=confidence)
        modulated += float(state.coefficients["audio"]) < 1
    assert modulated == steps


@pytest.mark.parametrize(
    "options", [{"alpha": -1}, {"modulation_epochs": -1}, {"modulation_share": 0}, {"weight": -1}]
)
def test_options_out_of_range_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        OgmGeOptions(**options)
