"""What every method reports of a step, against NumPy, from its equations."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax.methods import Context, get_method, method_names, method_report, parse_method
from masam_jax.methods.g_blend import GBlendState
from masam_jax.methods.info_reg import info_reg
from masam_jax.methods.mla import mla
from masam_jax.methods.pmr import PmrObjective
from tests.methods.pmr_reference import coefficients, probabilities
from tests.methods.pmr_terms import advance, make_state
from tests.methods.reference_objective import CLASSES, SIZE, ReferenceNetwork

PARAMS = {"audio": jnp.asarray([1.0, -2.0]), "text": jnp.asarray([0.5, 1.5]), "head": jnp.ones(1)}
LABELS = {"audio": "audio", "text": "text", "head": "other"}


def _values(report: Any) -> dict[str, dict[str, float]]:
    return {k: {m: float(x) for m, x in each.items()} for k, each in report.items()}


def _after(tx: Any, *steps: dict[str, Any]) -> dict[str, dict[str, float]]:
    """What is reported after updates by zeros, with these signals."""
    state, update = tx.init(PARAMS), jax.jit(tx.update)
    for signals in steps:
        _, state = update(jax.tree.map(jnp.zeros_like, PARAMS), state, PARAMS, **signals)
    return _values(method_report(state))


def _tx(spec: str, epoch: int = 1) -> Any:
    return parse_method(spec).transformation(LABELS, Context(steps_per_epoch=epoch))


def _tree(audio: list[float], text: list[float]) -> dict[str, jax.Array]:
    return {"audio": jnp.asarray(audio), "text": jnp.asarray(text), "head": jnp.zeros(1)}


def test_the_factors_of_ogm_ge() -> None:
    report = _after(_tx("ogm_ge:alpha=0.3"), {"confidence": {"audio": 6.0, "text": 2.0}})
    assert report["gradient_factor"]["text"] == 1
    assert report["gradient_factor"]["audio"] == pytest.approx(1 - np.tanh(0.3 * 3), rel=1e-5)


def test_the_factors_of_agm() -> None:
    signals = [{"response_losses": {"audio": a, "text": b}} for a, b in ((0.5, 1.0), (0.2, 0.9))]
    report = _after(_tx("agm:alpha=0.5"), *signals)
    ratio = {"audio": np.exp(0.7), "text": np.exp(-0.7)}
    before = {"audio": np.exp(0.5), "text": np.exp(-0.5)}
    for m, factor in report["gradient_factor"].items():
        assert factor == pytest.approx(np.exp(0.5 * (before[m] - ratio[m])), rel=1e-5)


def test_the_weights_and_the_factor_of_mmpareto() -> None:
    fusion, own = _tree([4.0, 0.0], [0.1, 0.2]), _tree([-2.0, 1.0], [0.3, 0.1])
    signals = {"fusion_grads": fusion, "unimodal_grads": own, "total_grads": fusion}
    report = _after(_tx("mmpareto:gamma=3"), signals)
    # Of the audio encoder they conflict: the shortest combination w f + (1 - w) u.
    f, u = np.array([4.0, 0.0]), np.array([-2.0, 1.0])
    shares = np.linspace(0, 1, 200_001)[:, None]
    best = float(shares[np.argmin(np.linalg.norm(shares * f + (1 - shares) * u, axis=1)), 0])
    h = 2 * (best * f + (1 - best) * u)
    assert report["fusion_weight"]["audio"] == pytest.approx(best, abs=1e-5)
    factor = np.linalg.norm(f + u) / np.linalg.norm(h)
    assert report["rescale_factor"]["audio"] == pytest.approx(factor, rel=1e-4)
    assert report["fusion_weight"]["text"] == pytest.approx(0.5, rel=1e-6)
    assert report["rescale_factor"]["text"] == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-12, 1e-4])
def test_a_nearly_vanished_fusion_gradient_is_amplified(scale: float) -> None:
    fusion, own = _tree([scale, 0.0], [0.0, 0.0]), _tree([-0.2, 1.0], [1.0, 1.0])
    signals = {"fusion_grads": fusion, "unimodal_grads": own, "total_grads": fusion}
    report = _after(_tx("mmpareto"), signals)
    assert report["fusion_weight"]["audio"] == pytest.approx(1, abs=scale)
    u = np.array([-0.2, 1.0])
    # h is 2 f without its part along u, and f + u is u.
    h = 2 * scale * (np.array([1.0, 0.0]) + 0.2 / (u @ u) * u)
    factor = np.linalg.norm(u) / np.linalg.norm(h)
    assert report["rescale_factor"]["audio"] == pytest.approx(factor, rel=1e-3)
    # No direction serves a fusion gradient of zero: the encoder stays.
    assert report["fusion_weight"]["text"] == 1
    assert report["rescale_factor"]["text"] == 0


def test_the_window_and_the_pull_of_info_reg() -> None:
    tx = info_reg(LABELS, steps_per_epoch=2, beta=0.5, history=2)

    def step(audio: float, text: float, fusion: float) -> dict[str, Any]:
        grads = jax.tree.map(lambda x: jnp.full_like(x, fusion), PARAMS)
        return {"fusion_grads": grads, "confidence": {"audio": audio, "text": text}}

    first = step(3.0, 2.0, 2.0)
    report = _after(tx, first)
    assert report["prime_window"] == {"audio": 1, "text": 1}
    pull = 0.5 * np.exp(np.tanh(1.0))
    assert report["pull_factor"]["audio"] == pytest.approx(pull, rel=1e-5)
    assert report["pull_factor"]["text"] == 0
    assert report["fisher_trace"] == {"audio": 0, "text": 0}
    # The traces fall from 4 to .04, and the mean of two epochs by less than a twentieth of itself
    # only when the third is over.
    course = [first, first, *[step(2.0, 3.0, 0.2)] * 2, *[step(2.0, 3.0, 0.2)] * 2]
    assert _after(tx, *course)["fisher_trace"]["text"] == pytest.approx(0.04, rel=1e-5)
    closed = _after(tx, *course, step(2.0, 3.0, 0.2))
    assert closed["prime_window"] == {"audio": 0, "text": 0}
    assert closed["pull_factor"] == {"audio": 0, "text": 0}


def test_the_shapley_values_of_m_sam() -> None:
    def fusion_grad_fn(params: Any, modality: str | None = None) -> Any:
        return jax.tree.map(jnp.ones_like, params)

    signals = {
        "fusion_grads": jax.tree.map(jnp.ones_like, PARAMS),
        "shapley_values": {"audio": -0.25, "text": 0.75},
    }
    tx = _tx("m_sam")
    grads = jax.tree.map(jnp.zeros_like, PARAMS)
    _, state = tx.update(grads, tx.init(PARAMS), PARAMS, **signals, fusion_grad_fn=fusion_grad_fn)
    assert _values(method_report(state)) == {"shapley_value": {"audio": -0.25, "text": 0.75}}


def test_what_the_projection_of_mla_leaves() -> None:
    params = {"audio": jnp.ones(1), "text": jnp.ones(1), "head": jnp.ones((3, 2))}
    generator = np.random.default_rng(0)
    gradient = generator.standard_normal((3, 2)).astype(np.float32)
    r = {m: generator.standard_normal(3).astype(np.float32) for m in ("audio", "text")}
    tx = mla(LABELS, head="head", alpha=0.1)
    state = tx.init(params)
    updates = jax.tree.map(jnp.zeros_like, params) | {"head": jnp.asarray(gradient)}
    for phase in ("audio", "text"):
        _, state = tx.update(updates, state, params, phase=phase, mean_features=r)
    kept = _values(method_report(state))["kept_gradient"]
    p = np.eye(3) - np.outer(r["audio"], r["audio"]) / (0.1 + r["audio"] @ r["audio"])
    assert kept["audio"] == pytest.approx(1, rel=1e-6)
    want = np.linalg.norm(p @ gradient) / np.linalg.norm(gradient)
    assert kept["text"] == pytest.approx(want, rel=1e-4)


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_scores_and_weights_of_pmr(epoch: int) -> None:
    """Its entropy counts in the first epoch here, and its cross-entropy in two."""
    generator = np.random.default_rng(0)
    names = ("audio", "text", "video")
    features = {m: s * generator.standard_normal((5, SIZE)) for s, m in enumerate(names, start=1)}
    prototypes = {m: generator.standard_normal((CLASSES, SIZE)) for m in names}
    labels = np.arange(5) % CLASSES
    objective = PmrObjective(steps_per_epoch=4, regularized_epochs=1, modulation_epochs=2)
    state = make_state(prototypes, step=4 * epoch)
    params = {
        "fusion": {"w": jnp.zeros((3 * SIZE, CLASSES)), "b": jnp.zeros(CLASSES)},
        "heads": {m: {"w": jnp.zeros((SIZE, CLASSES)), "b": jnp.zeros(CLASSES)} for m in names},
    }
    arrays = {m: jnp.asarray(f, jnp.float32) for m, f in features.items()}
    outcome = objective.losses(ReferenceNetwork(*names), params, arrays, jnp.asarray(labels), state)
    report = _values(method_report(advance(objective, state, outcome.observed)))
    scores = {
        m: float(probabilities(features[m], prototypes[m])[np.arange(5), labels].sum())
        for m in names
    }
    assert len(set(scores.values())) == 3
    for m, (beta, gamma) in coefficients(scores).items():
        assert report["prototype_score"][m] == pytest.approx(scores[m] / 5, rel=1e-4)
        assert report["prototype_weight"][m] == pytest.approx((epoch < 2) * beta, rel=1e-3)
        assert report["entropy_weight"][m] == pytest.approx((epoch < 1) * gamma, rel=1e-3)


def test_the_weights_of_g_blend_keep_the_axis_of_seeds() -> None:
    weights = {"fusion": jnp.asarray([0.5, 0.25]), "audio": jnp.asarray([0.5, 0.75])}
    report = method_report((GBlendState(weights, jnp.ones(2, jnp.int32)), None))
    assert jax.tree.map(np.ndarray.tolist, jax.device_get(report)) == {
        "loss_weight": {"fusion": [0.5, 0.25], "audio": [0.5, 0.75]}
    }


# --- the protocol ---


class _Reporting(NamedTuple):
    report: Any


def test_states_are_found_however_nested() -> None:
    one, two = (_Reporting({name: {"audio": jnp.ones(())}}) for name in ("a", "b"))
    assert set(method_report({"x": (one, [None, two])}, jnp.ones(3))) == {"a", "b"}
    assert method_report(()) == {}


def test_two_states_that_report_the_same_are_refused() -> None:
    one = _Reporting({"a": {}})
    with pytest.raises(ValueError, match="two states report 'a'; give one of them at a time"):
        method_report((one, one))


@pytest.mark.parametrize("name", method_names())
def test_what_is_reported_has_a_line_each(name: str) -> None:
    """Those of objectives are checked with networks, in tests/training/test_train_record.py."""
    for name_of_report, words in get_method(name).reports.items():
        assert name_of_report.isidentifier()
        assert 0 < len(words) < 75
        assert not words.endswith(".")
