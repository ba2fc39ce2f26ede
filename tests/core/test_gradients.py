"""multimodal_value_and_grad: losses, gradients, signals, microbatches, shared parameters."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masam_jax import masam, masam_metrics, multimodal_value_and_grad
from masam_jax.core import microbatches

PARAMS = {"a": jnp.asarray([0.5, -1.0]), "v": jnp.asarray([0.2, 0.8]), "h": jnp.asarray(0.7)}
X = jnp.asarray(np.random.default_rng(0).normal(size=(12, 2)), jnp.float32)
LABELS = {"a": "a", "v": "v", "h": "other"}


def loss_fn(params, x):
    za, zv = jnp.tanh(x @ params["a"]), jnp.sin(x @ params["v"])
    fusion = jnp.mean((params["h"] * (za + zv) - 1.0) ** 2)
    return fusion, {"a": jnp.mean((za - 0.3) ** 2), "v": jnp.mean((zv + 0.1) ** 2 * params["h"])}


def shared_loss_fn(params, x):
    fusion, _ = loss_fn(params, x)
    za, zv = jnp.tanh(x @ params["a"]), jnp.sin(x @ params["v"])
    return fusion, {"a": jnp.mean(za**2), "v": jnp.mean((zv + za) ** 2)}


@pytest.mark.parametrize(
    "weights", [None, 0.25, 0, {"a": 0.5, "v": 3.0}, {"a": jnp.asarray(0.5), "v": 3.0}]
)
def test_losses_gradients_and_signals(weights):
    losses, grads, signals = multimodal_value_and_grad(loss_fn, loss_weights=weights)(PARAMS, X)
    w = (
        weights
        if isinstance(weights, dict)
        else dict.fromkeys("av", 1 if weights is None else weights)
    )

    def total(params):
        fusion, unimodal = loss_fn(params, X)
        return fusion + sum((unimodal[m] * w[m] for m in "av"), jnp.zeros(()))

    value, expected = jax.value_and_grad(total)(PARAMS)
    np.testing.assert_allclose(losses.total, value, rtol=1e-6)
    np.testing.assert_allclose(losses.fusion, loss_fn(PARAMS, X)[0], rtol=1e-6)
    chex.assert_trees_all_close(grads, expected, rtol=1e-5, atol=1e-7)
    chex.assert_trees_all_equal(signals["total_grads"], grads)
    fusion_grads = jax.grad(lambda p: loss_fn(p, X)[0])(PARAMS)
    chex.assert_trees_all_close(signals["fusion_grads"], fusion_grads, rtol=1e-5, atol=1e-7)
    unimodal = jax.grad(lambda p: sum(loss_fn(p, X)[1].values(), jnp.zeros(())))(PARAMS)
    chex.assert_trees_all_close(signals["unimodal_grads"], unimodal, rtol=2e-5, atol=1e-6)
    moved = jax.tree.map(lambda leaf: leaf * 1.1, PARAMS)
    chex.assert_trees_all_close(signals["total_grad_fn"](moved), jax.grad(total)(moved), rtol=1e-5)
    at_moved = jax.grad(lambda p: loss_fn(p, X)[0])(moved)
    chex.assert_trees_all_close(signals["fusion_grad_fn"](moved, "a"), at_moved, rtol=1e-5)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_low_precision_gradients_are_pulled_back_directly(dtype):
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), PARAMS)

    def scaled(p, x):
        # A unimodal gradient far below the fusion gradient drowns in a difference of 8 bits.
        fusion, unimodal = loss_fn(p, x)
        return fusion * jnp.asarray(256, dtype), unimodal

    x = X.astype(dtype)
    exact = jax.grad(lambda p: sum(loss_fn(p, x)[1].values(), jnp.zeros((), dtype)))(params)
    _, _, auto = multimodal_value_and_grad(scaled)(params, x)
    chex.assert_trees_all_equal(auto["unimodal_grads"], exact)
    _, _, rough = multimodal_value_and_grad(scaled, unimodal_gradients="difference")(params, x)
    errors = jax.tree.map(lambda r, e: jnp.max(jnp.abs(r - e)), rough["unimodal_grads"], exact)
    assert max(float(e) for e in jax.tree.leaves(errors)) > 0.01


def test_signals_leave_and_enter_jit_with_static_arguments_beside_arrays():
    def flagged(params, x, flag, name):
        fusion, unimodal = loss_fn(params, x)
        return (fusion * 2 if flag and name == "double" else fusion), unimodal

    function = multimodal_value_and_grad(flagged)
    chex.clear_trace_counter()

    @jax.jit
    @chex.assert_max_traces(n=1)
    def perturbed(fn, params):
        return fn(params, "a")

    for scale in (1.0, 2.0):
        _, _, signals = function(PARAMS, X * scale, True, "double")
        got = perturbed(signals["fusion_grad_fn"], PARAMS)
        want = jax.grad(lambda p, s=scale: 2 * loss_fn(p, X * s)[0])(PARAMS)
        chex.assert_trees_all_close(got, want, rtol=1e-5, atol=1e-7)
    outside = jax.jit(multimodal_value_and_grad(loss_fn))(PARAMS, X)[2]
    want = jax.grad(lambda p: loss_fn(p, X)[0])(PARAMS)
    chex.assert_trees_all_close(outside["fusion_grad_fn"](PARAMS), want, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("compiled", [False, True], ids=["untraced", "jit"])
@pytest.mark.parametrize("form", ["unrolled", "scanned"])
@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_microbatches_equal_the_whole_batch_at_both_points(count, form, compiled, monkeypatch):
    # The unrolled form of the CPU, and the scan of every other platform.
    monkeypatch.setattr(microbatches, "_unrolled", getattr(microbatches, f"_{form}"))

    def with_aux(params, x):
        return (*loss_fn(params, x), x[:, 0])

    whole = multimodal_value_and_grad(with_aux, has_aux=True)(PARAMS, X)
    function = multimodal_value_and_grad(with_aux, has_aux=True, microbatches=count)
    parts = (jax.jit(function) if compiled else function)(PARAMS, X)
    chex.assert_trees_all_close(parts[0]._replace(aux=None), whole[0]._replace(aux=None), rtol=1e-5)
    # Part i holds the samples i, i + count, ….
    of_parts = parts[0].aux if count > 1 else parts[0].aux[None]
    np.testing.assert_array_equal(of_parts, np.stack([X[i::count, 0] for i in range(count)]))
    chex.assert_trees_all_close(parts[1], whole[1], rtol=1e-4, atol=1e-6)
    moved = jax.tree.map(lambda leaf: leaf + 0.3, PARAMS)
    for name in ("fusion_grad_fn", "total_grad_fn"):
        got, want = parts[2][name](moved), whole[2][name](moved)
        chex.assert_trees_all_close(got, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("count", "args", "message"),
    [
        (5, (X,), "12 does not split into 5"),
        (2, (X, X[:6]), r"share its leading"),
        (2, (X, jnp.ones(())), "leading"),
    ],
)
def test_batches_that_do_not_split_are_refused(count, args, message):
    function = multimodal_value_and_grad(lambda p, x, *rest: loss_fn(p, x), microbatches=count)
    with pytest.raises(ValueError, match=message):
        function(PARAMS, *args)


def test_shared_parameters_give_true_gradients_of_each_modality():
    function = multimodal_value_and_grad(
        shared_loss_fn, shared_parameters=True, loss_weights={"a": 0.5, "v": 2.0}
    )
    _, grads, signals = function(PARAMS, X)
    for m in "av":
        want = jax.grad(lambda p, m=m: shared_loss_fn(p, X)[1][m])(PARAMS)
        chex.assert_trees_all_close(signals["per_modality_grads"][m], want, rtol=1e-5, atol=1e-7)

    def total(p):
        fusion, unimodal = shared_loss_fn(p, X)
        return fusion + 0.5 * unimodal["a"] + 2.0 * unimodal["v"]

    chex.assert_trees_all_close(grads, jax.grad(total)(PARAMS), rtol=1e-5, atol=1e-7)
    tx = masam(LABELS)
    _, state = tx.update(grads, tx.init(PARAMS), PARAMS, **signals)
    fusion = jax.grad(lambda p: shared_loss_fn(p, X)[0])(PARAMS)["a"]
    own = jax.grad(lambda p: shared_loss_fn(p, X)[1]["a"])(PARAMS)["a"]
    cosine = jnp.vdot(fusion, own) / jnp.linalg.norm(fusion) / jnp.linalg.norm(own)
    np.testing.assert_allclose(masam_metrics(state)["alignment/a"], cosine, rtol=1e-5)
    # Without the request, the sum over modalities stands in, which is another angle.
    _, grads, signals = multimodal_value_and_grad(shared_loss_fn)(PARAMS, X)
    _, state = tx.update(grads, tx.init(PARAMS), PARAMS, **signals)
    assert abs(float(masam_metrics(state)["alignment/a"]) - float(cosine)) > 1e-3


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (jnp.ones(()), "must return .* got"),
        ((jnp.ones(()), {"a": jnp.ones(())}, None), "got 3 values"),
        ((jnp.ones(()), [jnp.ones(())]), "one loss for each modality; got list"),
        ((jnp.ones(()), {}), "one loss for each modality"),
        ((jnp.ones(2), {"a": jnp.ones(())}), r"'fusion' must be a real scalar, got shape \(2,\)"),
        ((jnp.ones(()), {"a": jnp.ones((), jnp.int32)}), "'a' must be a real scalar.*int32"),
    ],
)
def test_wrong_returns_are_named(returned, message):
    with pytest.raises(TypeError, match=message):
        multimodal_value_and_grad(lambda p: returned)(PARAMS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss_fn": 3}, "loss_fn must be a function"),
        ({"microbatches": 0}, "microbatches must be an integer >= 1, got 0"),
        ({"microbatches": True}, "microbatches"),
        ({"loss_weights": -1.0}, "loss_weights must be a finite number >= 0, got -1.0"),
        ({"loss_weights": {"a": float("nan"), "v": 1}}, r"loss_weights\['a'\].*nan"),
        ({"loss_weights": "heavy"}, "loss_weights.*'heavy'"),
        ({"unimodal_gradients": "fast"}, "unimodal_gradients must be .*'fast'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        multimodal_value_and_grad(**{"loss_fn": loss_fn, **arguments})


def test_weights_and_losses_must_name_the_same_modalities():
    with pytest.raises(ValueError, match=r"names \['a'\], the loss function \['a', 'v'\]"):
        multimodal_value_and_grad(loss_fn, loss_weights={"a": 1.0})(PARAMS, X)
