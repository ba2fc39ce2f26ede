"""How the perturbed gradient is taken: by names, traced or not, for which platform."""

from __future__ import annotations

import collections
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import LateFusion, masam, masam_metrics, multimodal_value_and_grad
from masam_jax.methods.m_sam import m_sam
from masam_jax.training.train_step import make_train_step

DISPATCHES = ["auto", "dense", "switch", "host"]
X = jnp.asarray([[1.0, 0.5], [-0.4, 0.8], [0.3, -1.1]])


def parameters(first: str, second: str) -> Any:
    return {
        "encoders": {
            first: jnp.asarray([1.0, 2.0]),
            second: jnp.asarray([2.0, -1.0]),
        },
        "head": jnp.asarray(0.5),
    }


def labels_of(params: Any) -> Any:
    return {"encoders": {m: m for m in params["encoders"]}, "head": "other"}


def late_fusion(names: tuple[str, ...]) -> LateFusion:
    def objective(params: Any, features: Any, x: jax.Array) -> Any:
        fused = params["head"] * sum(features[m] for m in names)
        targets = dict(zip(names, (0.2, 0.9), strict=True))
        return jnp.mean((fused - 1.0) ** 2), {
            m: jnp.mean((features[m] - targets[m]) ** 2) for m in names
        }

    return LateFusion(
        {m: lambda p, x, m=m: jnp.tanh(x @ p["encoders"][m]) for m in names}, objective
    )


def run(names: tuple[str, str], dispatch: str, way: str, steps: int = 4) -> tuple[Any, Any]:
    """Parameters and state after SGD with `masam`; nothing in it depends on the names."""
    tx = optax.chain(
        masam(labels_of, rho=0.5, alpha=0.3, dispatch="auto" if way == "step" else dispatch),
        optax.sgd(0.1),
    )
    value_and_grad = multimodal_value_and_grad(late_fusion(names))
    params = parameters(*names)
    state = tx.init(params)

    def step(params: Any, state: Any) -> Any:
        _, grads, signals = value_and_grad(params, X)
        updates, state = tx.update(grads, state, params, **signals)
        return optax.apply_updates(params, updates), state

    if way == "step":
        made: Any = make_train_step(value_and_grad, tx, "host")
    elif way == "jit":
        step = jax.jit(step)
    for _ in range(steps):
        params, state = made(params, state, X)[:2] if way == "step" else step(params, state)
    return params, state


WAYS = [
    ("auto", "eager"),
    ("dense", "eager"),
    ("switch", "eager"),
    ("host", "eager"),
    ("auto", "jit"),
    ("dense", "jit"),
    ("switch", "jit"),
    ("host", "step"),
]


@pytest.mark.parametrize(("dispatch", "way"), WAYS)
@pytest.mark.parametrize(
    "names", [("clean", "noisy"), ("dense", "host"), ("joint", "single"), ("auto", "switch")]
)
def test_no_name_changes_a_number(names: tuple[str, str], dispatch: str, way: str) -> None:
    """Names that are words of the library, against names that are none."""
    params, state = run(names, dispatch, way)
    neutral, neutral_state = run(("m0", "m1"), dispatch, way)
    for left, right in zip(
        jax.tree.leaves((params, state)), jax.tree.leaves((neutral, neutral_state)), strict=True
    ):
        np.testing.assert_array_equal(left, right)
    base = optax.sgd(0.1)
    plain = parameters(*names)
    gradient = jax.grad(
        lambda p: (lambda fusion, each: fusion + sum(each.values()))(*late_fusion(names)(p, X))
    )
    for _ in range(4):
        updates, _ = base.update(gradient(plain), base.init(plain))
        plain = optax.apply_updates(plain, updates)
    dominant = masam_metrics(state)["dominant"]
    moved = params["encoders"][dominant] - plain["encoders"][dominant]
    assert float(jnp.abs(moved).max()) > 1e-4, "never perturbed"


@pytest.mark.parametrize("name", ["dominant", "all", "random"])
@pytest.mark.parametrize("select", ["dominant", "all", "audio"])
def test_names_that_select_cannot_tell_apart_are_refused(name: str, select: str) -> None:
    params = {"audio": jnp.ones(2), name: jnp.ones(2)}
    with pytest.raises(ValueError, match=rf"labels name the modalities \['{name}'\].*rename"):
        masam({"audio": "audio", name: name}, select=select).init(params)


# --- a decision that is traced, of signals that are not ---


def eager_signals() -> tuple[Any, Any, Any]:
    names = ("audio", "video")
    params = parameters(*names)
    _, grads, signals = multimodal_value_and_grad(late_fusion(names))(params, X)
    return params, grads, signals


def in_cond(tx: Any) -> Any:
    params, grads, signals = eager_signals()
    state = tx.init(params)
    return jax.lax.cond(
        jnp.asarray(True),
        lambda: tx.update(grads, state, params, **signals),
        lambda: (grads, state),
    )[0]


def under_jit(tx: Any) -> Any:
    params, grads, signals = eager_signals()
    state = tx.init(params)
    return jax.jit(lambda: tx.update(grads, state, params, **signals)[0])()


def conditionally(tx: Any) -> Any:
    params, grads, signals = eager_signals()
    tx = optax.conditionally_transform(tx, lambda step: step % 2 == 0)
    return tx.update(grads, tx.init(params), params, **signals)[0]


def in_scan(tx: Any) -> Any:
    params, grads, signals = eager_signals()
    state = tx.init(params)
    return jax.lax.scan(
        lambda _, __: (tx.update(grads, state, params, **signals)[0],) * 2, grads, length=1
    )[0]


TRACED = [in_cond, under_jit, conditionally, in_scan]


@pytest.mark.parametrize("dispatch", ["auto", "dense", "switch"])
@pytest.mark.parametrize("traced", TRACED)
def test_a_step_is_traced_where_its_signals_are_not(traced: Any, dispatch: str) -> None:
    params, grads, signals = eager_signals()
    tx = masam(labels_of, rho=0.5, dispatch="host")
    want, _ = tx.update(grads, tx.init(params), params, **signals)
    got = traced(masam(labels_of, rho=0.5, dispatch=dispatch))
    chex.assert_trees_all_close(got, want, rtol=1e-4, atol=1e-6)
    assert any(
        bool((a != b).any())
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(grads), strict=True)
    )


@pytest.mark.parametrize("traced", TRACED)
def test_host_dispatch_says_that_such_a_step_is_traced(traced: Any) -> None:
    with pytest.raises(ValueError, match='dispatch="host" needs a step that is not traced'):
        traced(masam(labels_of, rho=0.5, dispatch="host"))


# --- the platform that a program is for ---

FACTORIES = {"masam": masam, "m_sam": m_sam}


def program(method: str, dispatch: str, platform: str) -> collections.Counter[str]:
    """How often each operation occurs in the program that is lowered for a platform."""
    names = ("audio", "video")
    tx = FACTORIES[method](labels_of, rho=0.5, dispatch=dispatch)
    # In one piece: the dense way is one gradient then, and the switch one for each modality.
    value_and_grad = multimodal_value_and_grad(lambda p, x: late_fusion(names)(p, x))

    def step(params: Any, state: Any, x: jax.Array) -> Any:
        _, grads, signals = value_and_grad(params, x)
        values = {m: jnp.float32(i) for i, m in enumerate(names)}
        return tx.update(grads, state, params, shapley_values=values, **signals)

    params = parameters(*names)
    traced = jax.jit(step).trace(params, tx.init(params), X)
    text = traced.lower(lowering_platforms=(platform,)).as_text()
    return collections.Counter(word for word in text.split() if word.startswith("stablehlo."))


@pytest.mark.parametrize("method", FACTORIES)
def test_auto_is_decided_for_the_platform_that_the_program_is_lowered_for(method: str) -> None:
    multiplications = {
        (dispatch, platform): program(method, dispatch, platform)["stablehlo.dot_general"]
        for dispatch in ("auto", "dense", "switch")
        for platform in ("cpu", "cuda", "tpu")
    }
    dense, switch = multiplications["dense", "cpu"], multiplications["switch", "cpu"]
    assert dense < switch
    assert multiplications["auto", "cpu"] == dense
    assert multiplications["auto", "cuda"] == switch
    assert multiplications["auto", "tpu"] == switch


def test_auto_does_not_ask_which_backend_is_the_default(monkeypatch: Any) -> None:
    names = ("audio", "video")
    want = run(names, "auto", "jit")[0]
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    chex.assert_trees_all_equal(run(names, "auto", "jit")[0], want)
    assert program("masam", "auto", "cpu") == program("masam", "auto", "cpu")


def test_the_program_for_the_cpu_keeps_no_branch() -> None:
    """It would make a convolution's backward pass slow there."""
    names = ("audio", "video")
    tx = masam(labels_of, rho=0.5)
    value_and_grad = multimodal_value_and_grad(late_fusion(names))

    def step(params: Any, state: Any, x: jax.Array) -> Any:
        _, grads, signals = value_and_grad(params, x)
        return tx.update(grads, state, params, **signals)

    params = parameters(*names)
    compiled = jax.jit(step).lower(params, tx.init(params), X).compile()
    assert "conditional(" not in compiled.as_text()
