"""Perturbed gradients and scores every few steps: against NumPy in 64 bits, and what they cost."""

from __future__ import annotations

import functools
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import LateFusion, masam, masam_metrics, multimodal_value_and_grad, refresh_cycle
from masam_jax.training.train_step import make_train_step
from tests.core.networks import labels_of, late_fusion
from tests.core.reference import Momentum, PeriodicReference
from tests.core.reference_network import Batch, draw_batches, initialise, nested

NAMES = ("audio", "text", "video")
DIMENSIONS = {m: 2 + i for i, m in enumerate(NAMES)}
STEPS = 13
RULE = {"rho": 0.5, "alpha": 0.6, "beta": 0.8}
CASES: list[dict[str, Any]] = [
    {"perturb_every": 3},
    {"perturb_every": 3, "reuse": "whole", "correct_other": True},
    {"perturb_every": 2, "reuse": "none", "score_every": 3},
    {"perturb_every": 3, "reuse": "lazy", "correct_other": True},
    {"score_every": 4},
    {"perturb_every": 4, "score_every": 1, "select": "all"},
    {"perturb_every": 2, "select": "all"},
    {"perturb_every": 2, "select": "all", "reuse": "whole", "correct_other": True},
    {"perturb_every": 2, "select": "all", "reuse": "none"},
    {"perturb_every": 2, "select": "all", "reuse": "lazy"},
    {"perturb_every": 2, "score_smoothing": 0.6, "hysteresis": 0.1, "reuse": "none"},
]


def ids(options: dict[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in options.items())


@functools.cache
def batches() -> list[Batch]:
    return draw_batches(5, DIMENSIONS, steps=STEPS)


@pytest.mark.parametrize("way", ["static", "counted", "untraced"])
@pytest.mark.parametrize("options", CASES, ids=ids)
def test_steps_are_those_of_the_reference(x64: None, options: dict[str, Any], way: str) -> None:
    expected = initialise(3, DIMENSIONS)
    reference = PeriodicReference(Momentum(0.03, 0.9), **RULE, **options)
    base = optax.sgd(0.03, momentum=0.9)
    tx = optax.chain(masam(labels_of, **RULE, **options), optax.with_extra_args_support(base))
    value_and_grad = multimodal_value_and_grad(late_fusion(NAMES))
    cycle = refresh_cycle(options.get("perturb_every", 1), options.get("score_every"))

    def update(params: Any, state: Any, batch: Any, refresh: Any = None) -> tuple[Any, Any]:
        _, grads, signals = value_and_grad(params, batch.inputs, batch.labels)
        static = {} if refresh is None else {"refresh": refresh}
        updates, state = tx.update(grads, state, params, **signals, **static)
        return optax.apply_updates(params, updates), state

    step = update if way == "untraced" else jax.jit(update, static_argnames="refresh")
    params = jax.tree.map(jnp.asarray, nested(expected))
    state = tx.init(params)
    for t, batch in enumerate(batches()):
        expected, record = reference.step(expected, batch)
        refresh = cycle[t % len(cycle)] if way == "static" else None
        params, state = step(params, state, jax.tree.map(jnp.asarray, batch), refresh)
        chex.assert_trees_all_close(params, nested(expected), rtol=1e-9, atol=1e-10)
        metrics = masam_metrics(state)
        for m in NAMES:
            np.testing.assert_allclose(metrics[f"score/{m}"], record.score[m], rtol=1e-9)
            np.testing.assert_allclose(metrics[f"ma_loss/{m}"], record.average[m], rtol=1e-9)
        if options.get("select") != "all":
            assert (metrics["dominant"],) == (record.perturbed or (None,))


def test_the_orthogonal_component_is_not_the_whole() -> None:
    """The cases above would not tell them apart if the correction lay along no gradient."""
    parameters = {}
    for reuse in ("orthogonal", "whole", "none", "lazy"):
        parameters[reuse] = initialise(3, DIMENSIONS)
        reference = PeriodicReference(Momentum(0.03, 0.9), **RULE, perturb_every=3, reuse=reuse)
        for batch in batches():
            parameters[reuse], _ = reference.step(parameters[reuse], batch)
    for one, other in (("orthogonal", "whole"), ("orthogonal", "none"), ("none", "lazy")):
        gaps = [np.abs(parameters[one][k] - parameters[other][k]).max() for k in parameters[one]]
        assert max(gaps) > 1e-4


def flops(refresh: Any, **options: Any) -> float:
    names, width, depth = ("audio", "video"), 32, 6

    def encode(m: str, params: Any, x: Any) -> jax.Array:
        for weights in params["encoders"][m]:
            x = jnp.maximum(x @ weights, jnp.float32(0))
        return x

    def objective(params: Any, features: Any, x: Any) -> Any:
        del x
        fused = features["audio"] * features["video"]
        return jnp.mean((fused @ params["head"]) ** 2), {
            m: jnp.mean((z @ params["head"]) ** 2) for m, z in features.items()
        }

    fusion = LateFusion({m: functools.partial(encode, m) for m in names}, objective)
    params = {
        "encoders": {m: [jnp.zeros((width, width))] * depth for m in names},
        "head": jnp.zeros((width, 1)),
    }
    tx = masam(labels_of, dispatch="switch", **options) if options else optax.identity()
    tx = optax.chain(optax.with_extra_args_support(tx), optax.sgd(0.1))
    value_and_grad = multimodal_value_and_grad(fusion)

    def step(params: Any, state: Any, x: Any) -> Any:
        _, grads, signals = value_and_grad(params, x)
        static = {} if refresh is None else {"refresh": refresh}
        updates, state = tx.update(grads, state, params, **signals, **static)
        return optax.apply_updates(params, updates), state

    compiled = jax.jit(step).lower(params, tx.init(params), jnp.zeros((256, width))).compile()
    return compiled.cost_analysis()["flops"]


def test_a_step_between_costs_late_fusion() -> None:
    first, between = refresh_cycle(4)[:2]
    late = flops(None)
    assert flops(between, perturb_every=4) <= 1.03 * late
    assert 2.0 * late < flops(first, perturb_every=4) < 2.3 * late


def test_seeds_under_vmap_share_the_step() -> None:
    """With the step known, ``vmap`` over seeds has no branch to take apart."""
    cycle = refresh_cycle(2)
    tx = masam(labels_of, **RULE, perturb_every=2)
    value_and_grad = multimodal_value_and_grad(late_fusion(NAMES))

    def one(params: Any, state: Any, batch: Any, refresh: Any) -> Any:
        _, grads, signals = value_and_grad(params, batch.inputs, batch.labels)
        return tx.update(grads, state, params, **signals, refresh=refresh)

    params = jax.tree.map(
        lambda *x: jnp.stack(x),
        *[jax.tree.map(jnp.float32, nested(initialise(seed, DIMENSIONS))) for seed in (0, 1)],
    )
    batch = jax.tree.map(jnp.asarray, batches()[0])
    batch = Batch({m: x.astype(jnp.float32) for m, x in batch.inputs.items()}, batch.labels)
    state = jax.vmap(tx.init)(params)
    between = jax.jit(lambda p, s: jax.vmap(lambda p, s: one(p, s, batch, cycle[1]))(p, s))
    text = between.lower(params, state).as_text()
    assert "stablehlo.case" not in text
    assert "stablehlo.tanh" in text


def test_the_made_step_takes_the_entry_of_the_cycle() -> None:
    options = {**RULE, "perturb_every": 2}
    tx = optax.chain(masam(labels_of, **options), optax.sgd(0.05))
    value_and_grad = multimodal_value_and_grad(late_fusion(NAMES))
    found = {}
    for dispatch in ("jit", "host"):
        step = make_train_step(value_and_grad, tx, dispatch)
        params = jax.tree.map(jnp.float32, nested(initialise(3, DIMENSIONS)))
        state = tx.init(params)
        for t, batch in enumerate(batches()[:4]):
            inputs = {m: jnp.asarray(x, jnp.float32) for m, x in batch.inputs.items()}
            labels = jnp.asarray(batch.labels)
            refresh = refresh_cycle(2)[t % 2]
            params, state, _ = step(params, state, inputs, labels, refresh=refresh)
        found[dispatch] = params
    chex.assert_trees_all_close(found["jit"], found["host"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"perturb_every": 0}, r"perturb_every must be an integer >= 1, got 0"),
        ({"score_every": 1.5}, r"score_every must be an integer >= 1, got 1.5"),
        ({"reuse": "some"}, r"reuse must be one of \['orthogonal', 'whole', 'none', 'lazy'\]"),
    ],
)
def test_other_numbers_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        masam(labels_of, **options)


def test_another_refresh_is_refused() -> None:
    tx = masam({"a": "a"}, perturb_every=2)
    params = {"a": jnp.ones(2)}
    _, grads, signals = multimodal_value_and_grad(lambda p: (p["a"].sum(), {"a": p["a"].sum()}))(
        params
    )
    with pytest.raises(ValueError, match="refresh must be an entry of refresh_cycle"):
        tx.update(grads, tx.init(params), params, **signals, refresh=True)
