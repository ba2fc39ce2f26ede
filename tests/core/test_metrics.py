"""masam_metrics: found in any chain, under jit, and over seeds."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from masam_jax import label_by_path, masam, masam_metrics, multimodal_value_and_grad, sam

PARAMS = {"a": jnp.asarray(1.0), "v": jnp.asarray(2.0)}
LABELS = {"a": "a", "v": "v"}


def loss_fn(params, x):
    return (params["a"] + params["v"] - x) ** 2, {m: params[m] ** 2 for m in "av"}


def run(tx, params=PARAMS, x=1.0):
    _, grads, signals = multimodal_value_and_grad(loss_fn)(params, jnp.asarray(x))
    return tx.update(grads, tx.init(params), params, **signals)[1]


@pytest.mark.parametrize(
    "tx",
    [
        masam(LABELS),
        optax.chain(optax.clip(1.0), optax.chain(masam(LABELS), optax.sgd(1e-3, momentum=0.9))),
        optax.inject_hyperparams(masam, static_args=("labels",))(labels=LABELS, rho=0.1),
    ],
    ids=["alone", "nested chain", "injected"],
)
def test_found_anywhere(tx):
    metrics = masam_metrics(run(tx))
    assert metrics["dominant"] == "a"
    fields = ("score", "alignment", "decay", "ma_loss")
    assert set(metrics) == {"dominant"} | {f"{field}/{m}" for field in fields for m in "av"}
    assert float(metrics["ma_loss/v"]) == 4.0
    assert float(metrics["alignment/a"]) == pytest.approx(1.0)


def test_an_index_under_jit_and_none_before_the_first_step():
    tx = masam(LABELS)
    index = jax.jit(lambda x: masam_metrics(run(tx, x=x))["dominant"])(1.0)
    assert index.dtype == jnp.int32
    assert int(index) == 0
    assert masam_metrics(tx.init(PARAMS))["dominant"] is None


def test_a_list_over_seeds():
    tx = masam(LABELS, select="v")
    states = jax.vmap(lambda a: run(tx, {**PARAMS, "a": a}))(jnp.arange(3.0))
    metrics = masam_metrics(states)
    assert metrics["dominant"] == ["v", "v", "v"]
    assert metrics["score/a"].shape == (3,)


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (optax.adam(1e-3).init(PARAMS), "found 0"),
        (sam().init(PARAMS), "found 0"),
        ((masam(LABELS).init(PARAMS), masam(LABELS).init(PARAMS)), "found 2"),
    ],
)
def test_exactly_one_state_is_asked_for(state, found):
    with pytest.raises(ValueError, match=found):
        masam_metrics(state)


class Pair(nnx.Module):
    """The parameters of `loss_fn`, as Flax holds them."""

    def __init__(self):
        self.a, self.v = nnx.Param(PARAMS["a"]), nnx.Param(PARAMS["v"])


def step_of_pair(x=1.0):
    """An ``nnx.Optimizer`` after a step."""
    model = Pair()
    tx = optax.chain(masam(label_by_path({"^a": "a", "^v": "v"})), optax.sgd(0.1))
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    _, grads, signals = multimodal_value_and_grad(lambda p, y: loss_fn(nnx.to_pure_dict(p), y))(
        nnx.state(model, nnx.Param), jnp.asarray(x)
    )
    optimizer.update(model, grads, **signals)
    return optimizer


def test_plain_arrays_out_of_an_nnx_optimizer():
    optimizer = step_of_pair()
    for holder in (optimizer, optimizer.opt_state, nnx.as_pure(optimizer.opt_state)):
        metrics, want = masam_metrics(holder), masam_metrics(run(masam(LABELS)))
        assert metrics["dominant"] == want.pop("dominant") == "a"
        for name, value in want.items():
            assert isinstance(metrics[name], jax.Array)
            np.testing.assert_array_equal(metrics[name], value)
    assert f"{metrics['ma_loss/v']:.3f}" == "4.000"


def test_plain_arrays_of_nnx_optimizers_under_jit_and_over_seeds():
    def metrics(x):
        return masam_metrics(step_of_pair(x).opt_state)

    assert type(jax.eval_shape(metrics, 1.0)["dominant"]) is jax.ShapeDtypeStruct
    assert int(jax.jit(metrics)(1.0)["dominant"]) == 0
    states = jax.vmap(lambda x: step_of_pair(x).opt_state)(jnp.arange(3.0))
    metrics_of_seeds = masam_metrics(states)
    assert metrics_of_seeds["dominant"] == ["a", "a", "a"]
    assert type(metrics_of_seeds["score/a"]) is type(jnp.ones(()))
    assert metrics_of_seeds["score/a"].shape == (3,)
