"""The training step for any user code: whole, or in two parts around the host's choice."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import LateFusion, masam, masam_metrics, multimodal_value_and_grad, sam
from masam_jax.training import make_train_step

MODALITIES = ("audio", "text", "video")


def _network():
    def encoder(m):
        return lambda params, batch: jnp.tanh(batch[m] @ params[m])

    def objective(params, features, batch):
        fused = sum(features[m] for m in MODALITIES) @ params["head"]
        unimodal = {m: jnp.mean((features[m][:, 0] - batch["y"]) ** 2) for m in MODALITIES}
        return jnp.mean((fused - batch["y"]) ** 2), unimodal

    return LateFusion({m: encoder(m) for m in MODALITIES}, objective)


def _params():
    keys = jax.random.split(jax.random.key(0), 4)
    params = {m: jax.random.normal(k, (3, 4)) for m, k in zip(MODALITIES, keys[:3], strict=True)}
    return params | {"head": jax.random.normal(keys[3], (4,))}


def _batch(step):
    keys = jax.random.split(jax.random.key(step), 4)
    batch = {m: jax.random.normal(k, (8, 3)) for m, k in zip(MODALITIES, keys[:3], strict=True)}
    return batch | {"y": jax.random.normal(keys[3], (8,))}


LABELS = {m: m for m in MODALITIES} | {"head": "other"}


def _train(tx, dispatch, steps=12):
    step = make_train_step(multimodal_value_and_grad(_network()), tx, dispatch)
    params = _params()
    state = tx.init(params)
    trace = []
    for index in range(steps):
        params, state, losses = step(params, state, _batch(index))
        trace.append(float(losses.total))
    return params, state, trace


@pytest.mark.parametrize("select", ["dominant", "random", "all", "video", "weakest", "soft"])
def test_host_and_jit_give_the_same_numbers(select):
    tx = optax.chain(masam(LABELS, rho=0.5, alpha=0.3, select=select), optax.sgd(0.05, 0.9))
    params, state, trace = _train(tx, "host")
    expected_params, expected_state, expected_trace = _train(tx, "jit")
    np.testing.assert_allclose(trace, expected_trace, rtol=1e-5)
    for m in params:
        np.testing.assert_allclose(params[m], expected_params[m], rtol=1e-4, atol=1e-6)
    assert masam_metrics(state)["dominant"] == masam_metrics(expected_state)["dominant"]


def test_every_modality_takes_its_turn_in_that_comparison():
    """Otherwise the comparison above would not see a branch that is wrong."""
    tx = optax.chain(masam(LABELS, rho=0.5, alpha=0.3, select="random"), optax.sgd(0.05))
    step = make_train_step(multimodal_value_and_grad(_network()), tx, "host")
    params, seen = _params(), set()
    state = tx.init(params)
    for index in range(12):
        params, state, _ = step(params, state, _batch(index))
        seen.add(masam_metrics(state)["dominant"])
    assert seen == set(MODALITIES)


def test_perturbation_reaches_the_host_step():
    """With ρ = 0 the host step is the base optimizer; with ρ > 0 it is not."""
    plain, _, _ = _train(optax.chain(optax.sgd(0.05)), "host")
    zero, _, _ = _train(optax.chain(masam(LABELS, rho=0.0), optax.sgd(0.05)), "host")
    moved, _, _ = _train(optax.chain(masam(LABELS, rho=0.5), optax.sgd(0.05)), "host")
    np.testing.assert_allclose(zero["audio"], plain["audio"], rtol=1e-6)
    assert max(float(jnp.max(jnp.abs(moved[m] - plain[m]))) for m in MODALITIES) > 1e-3


@pytest.mark.parametrize("tx", [optax.adam(1e-2), optax.chain(sam(rho=0.1), optax.sgd(0.1))])
def test_transformations_without_masam_run_whole(tx):
    host, _, _ = _train(optax.with_extra_args_support(tx), "host", steps=3)
    whole, _, _ = _train(optax.with_extra_args_support(tx), "jit", steps=3)
    assert all(jnp.array_equal(host[m], whole[m]) for m in host)


@pytest.mark.parametrize("dispatch", ["jit", "host"])
def test_arguments_are_donated(dispatch):
    tx = optax.chain(masam(LABELS), optax.sgd(0.05, 0.9))
    step = make_train_step(multimodal_value_and_grad(_network()), tx, dispatch)
    params = _params()
    state = tx.init(params)
    step(params, state, _batch(0))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(params))


@pytest.mark.parametrize("dispatch", ["jit", "host"])
def test_nothing_is_compiled_after_every_branch_was_met(dispatch):
    tx = optax.chain(masam(LABELS, rho=0.5, select="random"), optax.sgd(0.05))
    step = make_train_step(multimodal_value_and_grad(_network()), tx, dispatch)
    params, batches = _params(), [_batch(index) for index in range(32)]
    state = tx.init(params)
    for batch in batches[:16]:
        params, state, _ = step(params, state, batch)
    compiled = []

    def listen(event, seconds, **_):
        if "backend_compile" in event:
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        for batch in batches[16:]:
            params, state, _ = step(params, state, batch)
        assert compiled == []
        jax.jit(lambda x: x * 3 + len(compiled))(jnp.ones(7)).block_until_ready()
        assert compiled, "the listener hears nothing, so the assertion above means nothing"
    finally:
        jax.monitoring.clear_event_listeners()


def test_step_works_inside_another_jit():
    tx = optax.chain(masam(LABELS, rho=0.5), optax.sgd(0.05))
    step = make_train_step(multimodal_value_and_grad(_network()), tx, "host")
    params = _params()
    inner, _, _ = jax.jit(step)(params, tx.init(params), _batch(0))
    outer, _, _ = step(_params(), tx.init(params), _batch(0))
    np.testing.assert_allclose(inner["audio"], outer["audio"], rtol=1e-5)


def test_dispatch_is_checked():
    with pytest.raises(ValueError, match="dispatch is 'dense'"):
        make_train_step(multimodal_value_and_grad(_network()), optax.sgd(0.1), "dense")


@pytest.mark.parametrize(
    ("convolves", "programs"), [(False, ["whole"]), (True, ["choose", "apply"])]
)
def test_auto_asks_the_host_on_cpu_where_the_network_convolves(convolves, programs, monkeypatch):
    kernel = jnp.ones((1, 1, 3), jnp.float32)

    def encoder(params, batch):
        x = batch["x"]
        if convolves:
            x = jax.lax.conv_general_dilated(x[:, None, :], kernel, (1,), "SAME")[:, 0]
        return x @ params["m"]

    def objective(params, features, batch):
        return jnp.mean(features["m"] ** 2), {"m": jnp.mean((features["m"] - 1.0) ** 2)}

    value_and_grad = multimodal_value_and_grad(LateFusion({"m": encoder}, objective))
    tx = optax.chain(masam({"m": "m"}), optax.sgd(0.1))
    ran = []
    jit = jax.jit

    def recording_jit(function, **options):
        compiled = jit(function, **options)

        def call(*args, **kwargs):
            ran.append(function.__name__)
            return compiled(*args, **kwargs)

        return call

    monkeypatch.setattr(jax, "jit", recording_jit)
    step = make_train_step(value_and_grad, tx)
    monkeypatch.setattr(jax, "jit", jit)
    params = {"m": jnp.ones((4, 2))}
    step(params, tx.init(params), {"x": jnp.ones((5, 4))})
    assert ran == programs
