"""G-Blend against a NumPy reference, and the signs of gain and overfitting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import hypothesis
import hypothesis.strategies as st
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.methods import Context, parse_method
from masam_jax.methods.g_blend import (
    GBlendObjective,
    GBlendOptions,
    GBlendState,
    Measured,
    blend_weights,
)
from tests.core.reference_network import Array
from tests.methods.g_blend_reference import reference_weights
from tests.methods.reference_objective import ReferenceNetwork


def _state(seeds: int, *names: str, dtype: Any = jnp.float32) -> GBlendState:
    share = jnp.full(seeds, 1 / len(names), dtype)
    return GBlendState(dict.fromkeys(names, share), jnp.ones(seeds, jnp.int32))


# --- the weights ---


def _losses(values: Mapping[str, tuple[Array, Array]]) -> Measured:
    return Measured(
        {k: jnp.asarray(fit) for k, (fit, _) in values.items()},
        {k: jnp.asarray(held_out) for k, (_, held_out) in values.items()},
    )


@pytest.mark.parametrize("count", [1, 2, 5])
def test_weights_of_the_reference(x64: None, count: int) -> None:
    generator = np.random.default_rng(count)
    names = ("fusion", *(f"m{i}" for i in range(count)))

    def draw() -> dict[str, tuple[Array, Array]]:
        return {k: tuple(generator.uniform(0.1, 2, (2, 4))) for k in names}

    before, after = draw(), draw()
    # A gap that did not grow, and one that shrank: O is 0, and below 0.
    after["fusion"][1][0] = after["fusion"][0][0] + before["fusion"][1][0] - before["fusion"][0][0]
    after["m0"] = (after["m0"][0], after["m0"][0] - 0.3)
    previous = _state(4, *names, dtype=jnp.float64).weights
    weights = blend_weights(_losses(before), _losses(after), previous)
    for s in range(4):
        want = reference_weights(
            {k: (fit[s], held_out[s]) for k, (fit, held_out) in before.items()},
            {k: (fit[s], held_out[s]) for k, (fit, held_out) in after.items()},
        )
        for k in names:
            np.testing.assert_allclose(weights[k][s], want[k], rtol=1e-10)


def _weights(**changes: tuple[float, float]) -> dict[str, float]:
    """Weights of losses 1.0 that become ``(fit, held_out)``."""
    before = {k: (np.ones(1, np.float32),) * 2 for k in changes}
    after = {k: tuple(np.full(1, v, np.float32) for v in pair) for k, pair in changes.items()}
    weights = blend_weights(_losses(before), _losses(after), _state(1, *changes).weights)
    assert all(w.dtype == jnp.float32 for w in weights.values())
    return {k: float(w[0]) for k, w in weights.items()}


def test_gain_counts_once_and_overfitting_twice() -> None:
    weights = _weights(fusion=(0.4, 0.6), m0=(0.6, 0.8), m1=(0.1, 0.5))
    # G = .4, .2, .5 and O = .2, .2, .4.
    shares = np.array([0.4 / 0.04, 0.2 / 0.04, 0.5 / 0.16])
    np.testing.assert_allclose(list(weights.values()), shares / shares.sum(), rtol=1e-5)


@pytest.mark.parametrize("rise", [0.1, 0.3, 0.5, 2.0])
def test_what_only_overfits_gets_little(rise: float) -> None:
    """A held-out loss that rises, against one that falls as far where both fits gain 1/2."""
    weights = _weights(fusion=(0.5, 1 - rise), m0=(0.5, 1 + rise))
    # O = F - G, which is at least the smallest where the two are equal.
    overfitting = max(abs(0.5 - rise), 1e-3), 0.5 + rise
    ratio = (overfitting[1] / overfitting[0]) ** 2
    np.testing.assert_allclose(weights["fusion"] / weights["m0"], ratio, rtol=1e-3)
    assert ratio > 1


def test_a_gap_that_did_not_grow_counts_as_the_smallest() -> None:
    weights = _weights(fusion=(0.5, 0.5), m0=(0.75, 0.75), m1=(0.5, 0.501))
    np.testing.assert_allclose(weights["m0"] / weights["fusion"], 0.5, rtol=1e-5)
    np.testing.assert_allclose(weights["m1"] / weights["fusion"], 0.998, rtol=1e-3)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_weights_stay_where_nothing_was_learnt_or_a_trial_diverged(loss: float) -> None:
    names = ("fusion", "m0")
    before = {k: (np.full(3, 0.9, np.float32), np.ones(3, np.float32)) for k in names}
    after = {k: (np.full(3, 0.9, np.float32), np.ones(3, np.float32)) for k in names}
    after["m0"][1][1] = loss
    after["fusion"][1][2] = 0.5
    previous = {"fusion": jnp.full(3, 0.3), "m0": jnp.full(3, 0.7)}
    weights = blend_weights(_losses(before), _losses(after), previous)
    np.testing.assert_allclose(weights["fusion"], [0.3, 0.3, 1.0], rtol=1e-6)
    np.testing.assert_allclose(weights["m0"], [0.7, 0.7, 0.0], rtol=1e-6)


@hypothesis.given(
    st.lists(st.tuples(*[st.floats(0, 50, width=32)] * 4), min_size=1, max_size=5),
)
def test_weights_are_shares(losses: list[tuple[float, ...]]) -> None:
    names = ["fusion", *(f"m{i}" for i in range(len(losses) - 1))]
    pairs = [tuple(np.full(1, v, np.float32) for v in four) for four in losses]
    before = {k: pair[:2] for k, pair in zip(names, pairs, strict=True)}
    after = {k: pair[2:] for k, pair in zip(names, pairs, strict=True)}
    weights = blend_weights(_losses(before), _losses(after), _state(1, *names).weights)
    assert all(float(w[0]) >= 0 for w in weights.values())
    np.testing.assert_allclose(sum(float(w[0]) for w in weights.values()), 1, rtol=1e-5)


# --- as a method ---


def test_a_modality_named_fusion_is_refused() -> None:
    with pytest.raises(ValueError, match="no modality may be named 'fusion'"):
        GBlendObjective().init_state(ReferenceNetwork("audio", "fusion"), {"w": jnp.zeros(1)})


@pytest.mark.parametrize(
    "option, value",
    [
        ("super_epoch", 0),
        ("trial", 0.0),
        ("trial", float("inf")),
        ("held_out", 0.0),
        ("held_out", 1.0),
        ("smallest_overfitting", 0.0),
    ],
)
def test_options_are_checked(option: str, value: Any) -> None:
    with pytest.raises(ValueError, match=option):
        GBlendOptions(**{option: value})


def test_specification() -> None:
    method = parse_method("g_blend:super_epoch=4,trial=0.3,held_out=0.1")
    assert method.title == "G-Blend 4 epochs, trial 0.3, 0.1 held out"
    assert method.objective(Context(7, 100)) == GBlendObjective(trial_steps=8)
    schedule = method.schedule
    assert (schedule.period(7), schedule.held_out()) == (28, 0.1)
    assert method.loss_weight == 1
    plain = parse_method("g_blend")
    assert plain.title == "G-Blend"
    assert plain.objective(Context(3, 100)) == GBlendObjective(trial_steps=30)
    assert (plain.schedule.period(3), plain.schedule.held_out()) == (30, 0.2)
    cautious = parse_method("g_blend:smallest_overfitting=0.1")
    assert (cautious.title, cautious.schedule.smallest_overfitting) == ("G-Blend O ≥ 0.1", 0.1)
    # A trial is at least a step.
    tiny = parse_method("g_blend:trial=0.01")
    assert tiny.objective(Context(1, 100)) == GBlendObjective(trial_steps=1)
