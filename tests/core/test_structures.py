"""A tree of another structure than the parameters is told apart by its first paths, in a line."""

import equinox as eqx
import flax.core
import jax.numpy as jnp
import optax
import pytest
from flax import nnx

from masam_jax import label_by_path, masam, multimodal_value_and_grad, sam
from masam_jax.core.partition import check_differentiable, resolve_partition
from masam_jax.core.signal_checks import require_structure
from masam_jax.methods.agm import agm
from masam_jax.methods.m_sam import m_sam
from masam_jax.methods.mla import mla
from masam_jax.methods.ogm_ge import ogm_ge

PARAMS = {"enc": {"a": {"k": 1.0, "b": 2.0}, "v": 3.0}, "head": [4.0, 5.0]}
LABELS = {"enc": {"a": "a", "v": "v"}, "head": "other"}
# Longer than any message of ours may be.
WIDE = {f"layer{i:03d}": {"kernel": 1.0, "bias": 2.0} for i in range(200)}


class Pair(eqx.Module):
    left: float
    name: str = eqx.field(static=True)


@pytest.mark.parametrize(
    ("params", "tree", "end"),
    [
        (PARAMS, {"enc": PARAMS["enc"]}, "lacks ['head/0', 'head/1']"),
        (PARAMS, PARAMS | {"x": 1.0}, "has ['x'], which params lacks"),
        (PARAMS, PARAMS | {"head": None}, "lacks ['head/0', 'head/1']"),
        (
            PARAMS,
            {"enc": PARAMS["enc"], "tail": [4.0, 5.0]},
            "lacks ['head/0', 'head/1'] and has ['tail/0', 'tail/1'], which params lacks",
        ),
        (PARAMS, PARAMS | {"head": (4.0, 5.0)}, "has a tuple where params has a list"),
        (PARAMS, flax.core.freeze(PARAMS), "has a FrozenDict where params has a dict"),
        (Pair(1.0, "x"), Pair(1.0, "y"), "has a Pair of other static fields than params"),
        (
            WIDE,
            {},
            "lacks ['layer000/bias', 'layer000/kernel', 'layer001/bias', and 397 more]",
        ),
        (jnp.ones(3), {"a": 1.0}, "has ['a'], and params is one array, as inside optax.flatten: "),
        (jnp.ones(()), {"a": 1.0}, "has ['a'], and params is one array"),
        ({"a": 1.0}, jnp.ones(3), "lacks ['a'] and has [''], which params lacks"),
    ],
    ids=[
        "missing",
        "further",
        "None",
        "renamed",
        "tuple",
        "frozen",
        "static",
        "many",
        "flattened",
        "scalar",
        "flat",
    ],
)
def test_the_first_differences_are_named(params, tree, end):
    with pytest.raises(ValueError) as refused:
        require_structure({"updates": tree}, params)
    message = str(refused.value)
    start = "updates must have the structure of params: it "
    assert message.startswith(start + end) if end.endswith(" ") else message == start + end


@pytest.mark.parametrize(
    ("labels", "end"),
    [
        ({"enc": "a"}, "lacks ['head/0', 'head/1']"),
        ({"enc": {"a": "a", "v": {"deep": "v"}}, "head": "other"}, "which params lacks"),
        ({"enc": ("a", "v"), "head": "other"}, "which params lacks"),
        (flax.core.freeze(LABELS), "it has a FrozenDict where params has a dict"),
    ],
    ids=["missing", "too deep", "tuple", "frozen"],
)
def test_labels_that_are_no_prefix(labels, end):
    with pytest.raises(ValueError, match=r"labels must be a tree of strings") as refused:
        resolve_partition(labels, PARAMS)
    assert str(refused.value).endswith(end)


def test_the_labels_of_a_wide_network_make_a_short_message():
    with pytest.raises(ValueError, match="and 395 more") as refused:
        masam({"layer000": "a"}).init(WIDE | {"layer000": 1.0})
    assert len(str(refused.value)) < 400


METHODS = {
    "masam": masam(LABELS),
    "sam": sam(),
    "m_sam": m_sam(LABELS),
    "agm": agm(LABELS),
    "ogm_ge": ogm_ge(LABELS),
    "mla": mla(LABELS, head="head/0", steps_per_epoch=1),
}


@pytest.mark.parametrize("method", METHODS)
def test_updates_of_another_structure_are_refused_by_every_method(method):
    params = {"enc": {"a": {"k": jnp.ones(2), "b": jnp.ones(2)}, "v": jnp.ones(2)}}
    params["head"] = [jnp.ones((2, 2)), jnp.ones(2)]
    _, grads, signals = multimodal_value_and_grad(
        lambda p: (p["enc"]["a"]["k"].sum(), {m: p["head"][1].sum() for m in "av"})
    )(params)
    for name in ("confidence", "response_losses", "shapley_values"):
        signals[name] = {"a": 1.0, "v": 2.0}
    signals["mean_features"] = {"a": jnp.ones(2), "v": jnp.ones(2)}
    state = METHODS[method].init(params)
    METHODS[method].update(grads, state, params, **signals)
    # The same number of leaves, so that nothing but the structure tells.
    moved = {"enc": {"a": grads["enc"]["a"]}, "head": [*grads["head"], grads["enc"]["v"]]}
    with pytest.raises(ValueError, match=r"updates must .* lacks \['enc/v'\] and has \['head/2'\]"):
        METHODS[method].update(moved, state, params, **signals)


class Network(nnx.Module):
    def __init__(self, *, norm=False, dropout=False):
        rngs = nnx.Rngs(0)
        self.a, self.v = nnx.Linear(2, 2, rngs=rngs), nnx.Linear(2, 2, rngs=rngs)
        if norm:
            self.norm = nnx.BatchNorm(2, rngs=rngs)
        if dropout:
            self.dropout = nnx.Dropout(0.2, rngs=rngs)


@pytest.mark.parametrize(
    "tx", [masam(label_by_path({"^a/": "a", "^v/": "v"})), sam()], ids=["masam", "sam"]
)
def test_an_nnx_model_beside_gradients_of_its_parameters(tx):
    model = Network()
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    def loss_fn(tree):
        net = nnx.merge(graph, tree, rest, copy=True)
        return net.a.kernel.sum() + net.v.kernel.sum(), {m: jnp.ones(()) for m in "av"}

    _, grads, signals = multimodal_value_and_grad(loss_fn)(params)
    with pytest.raises(ValueError, match=r"Network is an nnx.Module: .*nnx\.split") as refused:
        tx.update(grads, tx.init(model), model, **signals)
    assert "has a State where params has a Network" in str(refused.value)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("kind", ["norm", "dropout"])
def test_what_an_nnx_model_holds_beside_parameters_is_refused(kind):
    model = Network(**{kind: True})
    name = {"norm": "BatchStat", "dropout": "Rng"}[kind]
    for params in (model, nnx.state(model)):
        with pytest.raises(ValueError, match=rf"params holds a {name}\w*, .*nnx\.split"):
            check_differentiable(params)
    check_differentiable(nnx.state(model, nnx.Param))


def test_lookahead_params_are_refused_at_init():
    params = optax.LookaheadParams.init_synced({"a": 1.0, "v": 2.0})
    for tx in (masam(label_by_path({"a$": "a", "v$": "v"})), sam()):
        with pytest.raises(ValueError, match=r"params is optax\.LookaheadParams: .*params\.fast"):
            tx.init(params)


@pytest.mark.parametrize("labels", [LABELS, label_by_path({"a": "a", "v": "v", "head": "other"})])
def test_masam_inside_flatten_is_told_where_it_belongs(labels):
    with pytest.raises(
        ValueError, match=r"as inside optax\.flatten: .*optax\.chain\(<this>, optax"
    ):
        optax.flatten(masam(labels)).init({"enc": jnp.ones(2), "head": jnp.ones(3)})


@pytest.mark.parametrize("tx", [masam(LABELS), sam()], ids=["masam", "sam"])
def test_where_no_signal_arrives_wrappers_that_drop_them_are_named(tx):
    """As Linen's TrainState does, whatever keywords it is given."""
    state = tx.init(PARAMS)
    with pytest.raises(ValueError, match=r"misses the signals .*TrainState\.apply_gradients"):
        tx.update(PARAMS, state, PARAMS)
    with pytest.raises(ValueError, match=r"misses the signals") as refused:
        tx.update(PARAMS, state, PARAMS, total_grads=PARAMS)
    assert "TrainState" not in str(refused.value)
