"""By what a modality is chosen, and how much of each: against NumPy, and at the limits."""

from __future__ import annotations

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import masam, masam_metrics, multimodal_value_and_grad
from masam_jax.core.choice import SELECTIONS
from tests.core.made_up_signals import World
from tests.core.networks import labels_of, late_fusion
from tests.core.reference import MasamReference, Momentum
from tests.core.reference_network import draw_batches, initialise, nested

NAMES = ("audio", "text", "video")
DIMENSIONS = {m: 2 + i for i, m in enumerate(NAMES)}
STEPS = 12
RULE = {"rho": 0.5, "alpha": 0.6, "beta": 0.8}
# The same network, as it is where dominant modalities change.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("dense", {"decay": "relative"}),
    ("switch", {"decay": "standardized"}),
    ("dense", {"score_smoothing": 0.7}),
    ("host", {"score_smoothing": 0.4, "hysteresis": 0.05, "decay": "standardized"}),
    ("switch", {"hysteresis": 0.1}),
    ("dense", {"select": "weakest", "hysteresis": 0.02}),
    ("switch", {"select": "lowest_loss"}),
    ("host", {"select": "highest_loss", "hysteresis": 0.2}),
    ("switch", {"select": "held_out"}),
    ("dense", {"select": "held_out", "hysteresis": 0.6}),
    ("host", {"select": "held_out", "hysteresis": 0.3}),
    ("auto", {"select": "held_out"}),
    ("auto", {"select": "soft", "temperature": 0.2, "score_smoothing": 0.5}),
]


def ids(value: Any) -> str:
    return ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else value


@pytest.fixture(autouse=True)
def _64_bits(x64: None) -> None:
    return


def presence() -> list[dict[str, bool]]:
    draws = np.random.default_rng(1).random((STEPS, len(NAMES))) < 0.7
    draws[0, 0], draws[5] = False, False
    return [dict(zip(NAMES, map(bool, row), strict=True)) for row in draws]


def held_out() -> list[dict[str, float]]:
    draws = np.random.default_rng(2).uniform(0.5, 2.0, (STEPS, len(NAMES)))
    draws[3, :2], draws[6, 1], draws[8] = np.inf, np.nan, np.nan
    return [dict(zip(NAMES, map(float, row), strict=True)) for row in draws]


@pytest.mark.parametrize("dispatch, options", CASES, ids=ids)
def test_steps_are_those_of_the_reference(dispatch: Any, options: dict[str, Any]) -> None:
    expected = initialise(11, DIMENSIONS)
    of_reference = dict(options)
    speed = of_reference.pop("decay", "absolute")
    losses = held_out()
    reference = MasamReference(
        Momentum(0.03, 0.9), **RULE, speed=speed, held_out=losses, **of_reference
    )
    base = optax.with_extra_args_support(optax.sgd(0.03, momentum=0.9))
    tx = optax.chain(masam(labels_of, **RULE, dispatch=dispatch, **options), base)
    value_and_grad = jax.jit(multimodal_value_and_grad(late_fusion(NAMES)))

    def step(params: Any, state: Any, batch: Any, further: Any) -> tuple[Any, Any]:
        _, grads, signals = value_and_grad(params, batch.inputs, batch.labels)
        updates, state = tx.update(grads, state, params, **signals, **further)
        return optax.apply_updates(params, updates), state

    step = step if dispatch == "host" else jax.jit(step)
    params = jax.tree.map(jnp.asarray, nested(expected))
    state = tx.init(params)
    batches = draw_batches(21, DIMENSIONS, steps=STEPS)
    for batch, present, known in zip(batches, presence(), losses, strict=True):
        expected, record = reference.step(expected, batch, present)
        further = {"present": present, "held_out_losses": known}
        params, state = step(params, state, jax.tree.map(jnp.asarray, batch), further)
        chex.assert_trees_all_close(params, nested(expected), rtol=1e-10, atol=1e-10)
        metrics = masam_metrics(state)
        for m in record.present:
            np.testing.assert_allclose(metrics[f"score/{m}"], record.score[m], atol=1e-10)
            if "score_smoothing" in options:
                got = metrics[f"smoothed_score/{m}"]
                np.testing.assert_allclose(got, reference.smoothed[m], atol=1e-10)
        if options.get("select") != "soft":
            assert (metrics["dominant"],) == (record.perturbed or (None,))


def world(scores: dict[str, float]) -> World:
    """A batch whose γ are these, for α = 0."""
    found = World(3)
    for m, cosine in scores.items():
        found.fusion[m] = {"w": np.asarray([[1.0, 0.0], [0.0, 0.0]]), "b": np.zeros(2)}
        rest = np.sqrt(1 - cosine**2)
        found.unimodal[m] = {"w": np.asarray([[cosine, rest], [0.0, 0.0]]), "b": np.zeros(2)}
    return found


def test_soft_weights_are_dominant_when_cold_and_all_when_hot() -> None:
    batch = world({"audio": 0.2, "text": 0.6, "video": 0.5})
    for temperature, limit in ((1e-6, "dominant"), (1e12, "all")):
        got, _ = batch.step(alpha=0.0, select="soft", temperature=temperature)
        want, _ = batch.step(alpha=0.0, select=limit)
        chex.assert_trees_all_close(got, want, rtol=1e-9)
    got, _ = batch.step(alpha=0.0, select="soft", temperature=0.1)
    whole, _ = batch.step(alpha=0.0, select="all")
    for m, score in (("audio", 0.2), ("text", 0.6), ("video", 0.5)):
        weight = np.exp((score - 0.6) / 0.1)
        epsilon = weight * batch.perturbation(whole, m)
        np.testing.assert_allclose(batch.perturbation(got, m), epsilon, rtol=1e-9, atol=1e-12)


def test_an_absent_modality_has_no_weight_and_sets_no_maximum() -> None:
    batch = world({"audio": 0.2, "text": 0.6, "video": 0.5})
    batch.present["text"] = np.asarray(False)
    got, _ = batch.step(alpha=0.0, select="soft", temperature=0.1)
    chex.assert_trees_all_equal(got["text"], batch.grads["text"])
    whole, _ = batch.step(alpha=0.0, select="all")
    np.testing.assert_allclose(
        batch.perturbation(got, "video"), batch.perturbation(whole, "video"), rtol=1e-9
    )


def test_the_last_choice_stays_until_another_one_leads_or_it_is_absent() -> None:
    options = {"alpha": 0.0, "hysteresis": 0.15}
    one = world({"audio": 0.5, "text": 0.4, "video": 0.1})
    closer = world({"audio": 0.5, "text": 0.6, "video": 0.1})
    leads = world({"audio": 0.5, "text": 0.7, "video": 0.1})
    chosen, state = [], None
    gone = world({"audio": 0.5, "text": 0.7, "video": 0.1})
    gone.present["text"] = np.asarray(False)
    for batch in (one, closer, leads, one, gone, closer):
        _, state = batch.step(state, **options)
        chosen.append(masam_metrics(state)["dominant"])
    assert chosen == ["audio", "audio", "text", "text", "audio", "audio"]


@pytest.mark.parametrize("dispatch", ["switch", "dense"])
def test_a_held_out_loss_that_is_not_known_is_of_nobody_s_choice(dispatch: Any) -> None:
    batch, unknown = world({"audio": 0.2, "text": 0.6, "video": 0.5}), np.nan
    options = {"select": "held_out", "dispatch": dispatch}
    for losses, chosen in (
        ({"audio": 3.0, "text": 1.0, "video": 2.0}, "text"),
        ({"audio": 3.0, "text": unknown, "video": 2.0}, "video"),
        ({"audio": 3.0, "text": -np.inf, "video": np.inf}, "audio"),
        ({"audio": unknown, "text": unknown, "video": np.inf}, None),
    ):
        batch.held_out = {m: np.asarray(loss) for m, loss in losses.items()}
        updates, state = batch.step(**options)
        assert masam_metrics(state)["dominant"] == chosen
        for m in NAMES:
            moved = np.any(batch.perturbation(updates, m))
            assert moved == (m == chosen)
    batch.held_out = {
        m: np.asarray(loss) for m, loss in zip(NAMES, (3.0, 1.0, np.nan), strict=True)
    }
    batch.present["text"] = np.asarray(False)
    assert masam_metrics(batch.step(**options)[1])["dominant"] == "audio"
    batch.present["audio"] = np.asarray(False)
    updates, state = batch.step(**options)
    assert masam_metrics(state)["dominant"] is None
    chex.assert_trees_all_equal(updates, batch.grads)


@pytest.mark.parametrize(
    "losses, words",
    [
        (None, r"misses the signal held_out_losses: pass .*'audio', 'text', 'video'.*got None"),
        ({"audio": 1.0, "text": 2.0}, r"held_out_losses has no entry .*\['video'\]"),
        (dict.fromkeys(NAMES, np.ones(2)), r"held_out_losses must have a scalar .*\(2,\)"),
    ],
)
def test_held_out_losses_are_asked_for(losses: Any, words: str) -> None:
    batch = World(1)
    batch.held_out = losses
    with pytest.raises(ValueError, match=words):
        batch.step(select="held_out")


@pytest.mark.parametrize("damage", [0.0, np.nan, np.inf, 1e-300, 1e300])
@pytest.mark.parametrize("decay", ["relative", "standardized"])
def test_no_damage_makes_a_score_that_is_no_number(decay: Any, damage: float) -> None:
    state = None
    options = {"beta": 0.0, "decay": decay, "score_smoothing": 0.5, "hysteresis": 0.1}
    for loss in (1e300, damage, 1.0):
        batch = World(5)
        batch.losses["text"] = np.asarray(loss)
        if loss == 0:
            batch.unimodal["text"] = jax.tree.map(np.zeros_like, batch.unimodal["text"])
        updates, state = batch.step(state, **options)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((updates, state)))


def test_options_that_are_off_keep_nothing() -> None:
    params = World(0).params
    labels = {m: m for m in NAMES} | {"other": "other"}
    assert masam(labels).init(params).memory is None
    assert masam(labels, select="all", hysteresis=0.1).init(params).memory is None


@pytest.mark.parametrize(
    "options, words",
    [
        ({"decay": "share"}, r"decay must be one of .*'standardized'.*got 'share'"),
        ({"score_smoothing": 1.0}, r"score_smoothing must be a number in \[0, 1\), got 1.0"),
        ({"hysteresis": -0.1}, "hysteresis must be a finite number >= 0, got -0.1"),
        ({"temperature": 0.0}, "temperature must be a finite number > 0, got 0.0"),
    ],
)
def test_other_values_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        masam({"a": "a"}, **options)


@pytest.mark.parametrize("word", SELECTIONS)
def test_no_modality_has_the_name_of_a_selection(word: str) -> None:
    with pytest.raises(ValueError, match=f"labels name the modalities \\['{word}'\\]"):
        masam({word: word}).init({word: jnp.ones(2)})
