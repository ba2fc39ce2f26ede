"""masam and sam at the door, and their choices under every kind of select."""

import collections

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from masam_jax import masam, masam_metrics, multimodal_value_and_grad, sam

PARAMS = {"a": jnp.asarray([1.0, 2.0]), "v": jnp.asarray([2.0, -1.0]), "h": jnp.asarray(0.5)}
LABELS = {"a": "a", "v": "v", "h": "other"}
X = jnp.asarray([1.0, 0.5])


def loss_fn(params, x):
    za, zv = jnp.tanh(params["a"] @ x), jnp.tanh(params["v"] @ x)
    return (params["h"] * (za + zv) - 1.0) ** 2, {"a": (za - 0.2) ** 2, "v": (zv - 0.9) ** 2}


def signals_of(params=PARAMS, x=X):
    _, grads, signals = multimodal_value_and_grad(loss_fn)(params, x)
    return grads, signals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rho": -0.1}, "rho must be a schedule or a finite number >= 0, got -0.1"),
        ({"rho": float("nan")}, "rho.*nan"),
        ({"rho": float("inf")}, "rho.*inf"),
        ({"rho": "big"}, "rho.*'big'"),
        ({"rho": jnp.asarray([0.1, 0.2])}, "rho"),
        ({"rho": True}, "rho.*True"),
        ({"alpha": 1.5}, r"alpha must be a number in \[0, 1\], got 1.5"),
        ({"alpha": None}, "alpha.*None"),
        ({"beta": -0.5}, r"beta must be a number in \[0, 1\], got -0.5"),
        ({"select": "other"}, "select.*'other'"),
        ({"select": 3}, "select.*3"),
        ({"alignment": "tensor"}, "alignment must be one of.*'partition', 'per_tensor'.*'tensor'"),
        ({"dispatch": "fast"}, "dispatch must be one of.*'fast'"),
        ({"clip_negative": 1}, "clip_negative must be True or False, got 1"),
        ({"scale_by_alignment": None}, "scale_by_alignment must be True or False, got None"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        masam(LABELS, **arguments)


def test_an_unknown_modality_to_select_is_named_when_the_labels_are_known():
    with pytest.raises(ValueError, match=r"select must be one of \[.*'a', 'v'\], got 'audio'"):
        masam(LABELS, select="audio").init(PARAMS)


@pytest.mark.parametrize("rho", [-1.0, float("nan")])
def test_sam_refuses_a_bad_radius(rho):
    with pytest.raises(ValueError, match="rho must be"):
        sam(rho=rho)


def test_sam_inside_a_partition_is_refused_with_advice():
    tx = optax.multi_transform(
        {"a": sam(), "v": optax.sgd(0.1), "h": optax.sgd(0.1)}, {**LABELS, "h": "h"}
    )
    with pytest.raises(ValueError, match=r"Put it before optax\.partition"):
        tx.init(PARAMS)


@pytest.mark.parametrize(
    "name", ["fusion_grads", "unimodal_grads", "unimodal_losses", "fusion_grad_fn"]
)
def test_missing_signals_are_named(name):
    tx = masam(LABELS)
    grads, signals = signals_of()
    del signals[name]
    with pytest.raises(ValueError, match=rf"misses the signals \['{name}'\]"):
        tx.update(grads, tx.init(PARAMS), PARAMS, **signals)


def test_missing_parameters_and_sam_s_signal_are_named():
    grads, signals = signals_of()
    for tx in (masam(LABELS), sam()):
        with pytest.raises(ValueError, match="needs params"):
            tx.update(grads, tx.init(PARAMS), **signals)
    with pytest.raises(ValueError, match=r"misses the signals .'total_grad_fn'."):
        sam().update(grads, sam().init(PARAMS), PARAMS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unimodal_losses": {"a": 1.0}}, r"no entry for the modalities \['v'\]"),
        ({"present": {"audio": True}}, r"present names unknown modalities \['audio'\]"),
        ({"fusion_grads": {"a": X}}, "fusion_grads must have the structure of params"),
        ({"fusion_grad_fn": 3}, "fusion_grad_fn must be callable, got 3"),
        ({"dominant": 2}, r"dominant must be -1 \(none\) or .*\['a', 'v'\], 0 to 1, got 2"),
        ({"dominant": "a"}, "dominant must be a Python integer, got 'a'"),
    ],
)
def test_wrong_signals_are_named(change, message):
    tx = masam(LABELS)
    grads, signals = signals_of()
    with pytest.raises(ValueError, match=message):
        tx.update(grads, tx.init(PARAMS), PARAMS, **{**signals, **change})


def test_host_dispatch_needs_an_untraced_step():
    tx = masam(LABELS, dispatch="host")

    def step(params):
        grads, signals = signals_of(params)
        return tx.update(grads, tx.init(params), params, **signals)

    step(PARAMS)
    with pytest.raises(ValueError, match='dispatch="host" needs a step that is not traced'):
        jax.jit(step)(PARAMS)


@pytest.mark.parametrize("dispatch", ["auto", "switch", "dense", "host"])
def test_a_gradient_function_of_the_user_s_own(dispatch):
    tx = masam(LABELS, dispatch=dispatch, rho=0.4)
    grads, signals = signals_of()
    want, _ = tx.update(grads, tx.init(PARAMS), PARAMS, **signals)
    own = {**signals, "fusion_grad_fn": lambda p, m: jax.grad(lambda q: loss_fn(q, X)[0])(p)}
    got, _ = tx.update(grads, tx.init(PARAMS), PARAMS, **own)
    chex.assert_trees_all_close(got, want, rtol=1e-6)


@pytest.mark.parametrize("chosen", [-1, 0, 1])
def test_the_caller_s_choice_is_taken(chosen):
    tx = masam(LABELS, rho=0.4)
    grads, signals = signals_of()
    updates, state = tx.update(grads, tx.init(PARAMS), PARAMS, **signals, dominant=chosen)
    by_loss = masam(LABELS, rho=0.4, select="held_out")
    known = {"held_out_losses": {"a": 1.0, "v": np.nan}, "dominant": chosen}
    other, _ = by_loss.update(grads, by_loss.init(PARAMS), PARAMS, **signals, **known)
    chex.assert_trees_all_close(other, updates, rtol=1e-6)
    changed = [not np.array_equal(updates[m], grads[m]) for m in ("a", "v")]
    assert changed == [chosen == 0, chosen == 1]
    assert int(state.dominant) == chosen


def run_random(steps, key=None, present=None):
    tx = masam(LABELS, select="random", key=key)
    grads, signals = signals_of()

    def body(state, _):
        _, state = tx.update(grads, state, PARAMS, **signals, present=present)
        return state, state.dominant

    return np.asarray(jax.lax.scan(body, tx.init(PARAMS), length=steps)[1])


def test_random_choices_are_uniform_reproducible_and_follow_the_key():
    first = run_random(400)
    counts = collections.Counter(first.tolist())
    # 400 fair draws: 10 standard deviations are 100.
    assert set(counts) == {0, 1}
    assert abs(counts[0] - 200) < 100
    np.testing.assert_array_equal(first, run_random(400, jax.random.key(0)))
    assert (first != run_random(400, jax.random.key(1))).any()
    assert set(run_random(50, present={"a": False}).tolist()) == {1}


def test_the_key_of_the_caller_outlives_a_donated_state():
    key = jax.random.PRNGKey(3)
    state = masam(LABELS, key=key).init(PARAMS)
    jax.jit(lambda s: jax.tree.map(lambda leaf: leaf + jnp.ones_like(leaf), s), donate_argnums=0)(
        state._replace(scores=None)
    )
    assert key.tolist() == [0, 3]


def test_all_moves_every_modality_and_names_none():
    tx = masam(LABELS, select="all", rho=0.4)
    grads, signals = signals_of()
    updates, state = tx.update(grads, tx.init(PARAMS), PARAMS, **signals)
    assert not np.array_equal(updates["a"], grads["a"])
    assert not np.array_equal(updates["v"], grads["v"])
    assert updates["h"] == grads["h"]
    assert masam_metrics(state)["dominant"] is None


def test_a_perturbed_gradient_that_is_not_finite_leaves_the_step_clean():
    def steep(params, x):
        # Finite where we stand, NaN once the perturbation crosses zero.
        return jnp.sqrt(params["a"][0]) * x[0], {"a": params["a"][0] ** 2 * 0.5}

    params = {"a": jnp.asarray([1e-3])}
    value_and_grad = multimodal_value_and_grad(steep)
    _, grads, signals = value_and_grad(params, -X)
    tx = masam({"a": "a"}, rho=1.0)
    # The gradients point apart: γ < 0 perturbs downhill along -∇, across zero where -x is negative.
    assert not np.isfinite(signals["fusion_grad_fn"]({"a": jnp.asarray([-1.0])})["a"]).all()
    updates, _ = tx.update(grads, tx.init(params), params, **signals)
    assert np.isfinite(updates["a"]).all()
    moved = {"a": params["a"] + 1.0}
    went_up = np.allclose(
        updates["a"],
        grads["a"] + signals["fusion_grad_fn"](moved)["a"] - signals["fusion_grads"]["a"],
    )
    assert went_up or np.array_equal(updates["a"], grads["a"])
    # Along +∇ of the mirrored loss it does cross, for certain.
    _, grads, signals = value_and_grad({"a": jnp.asarray([1e-3])}, X)
    tx = masam({"a": "a"}, rho=1.0)
    signals["unimodal_grads"] = jax.tree.map(jnp.negative, signals["unimodal_grads"])
    updates, _ = tx.update(grads, tx.init(params), params, **signals)
    chex.assert_trees_all_equal(updates, grads)
