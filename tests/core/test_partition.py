"""Labels: trees, prefixes, callables, path patterns, and what is refused."""

import dataclasses
import re

import equinox as eqx
import flax.core
import jax
import jax.numpy as jnp
import optax
import pytest
from flax import nnx

from masam_jax import label_by_path, masam
from masam_jax.core.partition import resolve_partition

PARAMS = {"enc": {"a": {"k": jnp.ones(2), "b": jnp.ones(1)}, "v": jnp.ones(3)}, "head": jnp.ones(1)}
EXPECTED = ("a", "a", "v", "other")
RULES = {"enc/a": "a", "enc/v": "v", "": "other"}


@pytest.mark.parametrize(
    "labels",
    [
        {"enc": {"a": {"k": "a", "b": "a"}, "v": "v"}, "head": "other"},
        {"enc": {"a": "a", "v": "v"}, "head": "other"},
        lambda params: {"enc": {"a": "a", "v": "v"}, "head": "other"},
        label_by_path(RULES),
        label_by_path(list(RULES.items()), modalities=["v", "a"]),
    ],
    ids=["tree", "prefix", "callable", "rules", "pairs"],
)
def test_every_kind_of_label(labels):
    partition = resolve_partition(labels, PARAMS, "other")
    assert partition.leaf_labels == EXPECTED
    assert partition.modalities == ("a", "v")
    assert partition.positions("a") == (0, 1)
    assert hash(partition) == hash(resolve_partition(labels, PARAMS, "other"))


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Net:
    a: jax.Array
    v: tuple[jax.Array, jax.Array]


@pytest.mark.parametrize(
    ("params", "rules", "expected"),
    [
        (flax.core.freeze(PARAMS), RULES, EXPECTED),
        (nnx.state(nnx.Linear(2, 3, rngs=nnx.Rngs(0))), {"bias": "a", "kernel": "v"}, ("a", "v")),
        (
            eqx.filter(eqx.nn.MLP(2, 2, 2, 1, key=jax.random.key(0)), eqx.is_inexact_array),
            {"layers/0": "a", "layers/1": "v"},
            ("a", "a", "v", "v"),
        ),
        (((jnp.ones(1), jnp.ones(2)), jnp.ones(3)), {"^0/": "a", "^1$": "v"}, ("a", "a", "v")),
        (Net(jnp.ones(1), (jnp.ones(1), jnp.ones(1))), {"^a": "a", "^v": "v"}, ("a", "v", "v")),
    ],
    ids=["FrozenDict", "nnx.State", "Equinox", "tuples", "dataclass"],
)
def test_path_labels_on_every_kind_of_tree(params, rules, expected):
    assert resolve_partition(label_by_path(rules), params, "other").leaf_labels == expected


def test_first_match_wins_and_shadowed_patterns_are_no_error():
    labels = label_by_path([("a/k", "v"), ("enc/a", "a"), ("v$", "v"), ("head", "other")])
    assert resolve_partition(labels, PARAMS, "other").leaf_labels == ("a", "v", "v", "other")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: label_by_path({"enc/a": "a"})(PARAMS), r"no rule covers .*'enc/v', 'head'"),
        (lambda: label_by_path({"": "a", "audio": "b"})(PARAMS), r"\['audio'\] match nothing"),
        (lambda: label_by_path({"": "x"}, modalities=["a"]), r"unknown labels \['x'\].*'a'"),
        (lambda: label_by_path({"(": "a"}), r"'\(' is no regular expression"),
        (lambda: label_by_path({}), "rules is empty"),
        (lambda: label_by_path([("a", 1)]), r"\('a', 1\)"),
    ],
    ids=["uncovered", "idle", "unknown", "pattern", "empty", "pair"],
)
def test_path_rules_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_long_list_of_uncovered_leaves_is_shortened():
    params = {f"p{i:02d}": jnp.ones(1) for i in range(20)}
    with pytest.raises(ValueError, match=re.escape("'p11', and 8 more]")):
        label_by_path({"nothing": "a"})(params)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"enc": "other", "head": "other"}, r"no modality: found \['other'\]"),
        ({"enc": {"a": 1, "v": "v"}, "head": "other"}, "strings, got 1 of type int"),
        ({"enc": "a"}, "prefix"),
        ({"enc": {"a": {"k": {"deep": "a"}, "b": "a"}, "v": "v"}, "head": "v"}, "prefix"),
    ],
    ids=["none", "number", "missing", "too deep"],
)
def test_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        masam(labels).init(PARAMS)


def test_masked_parameters_are_refused_with_advice():
    tx = optax.multi_transform(
        {"a": masam({"a": "a", "v": "v"}), "v": optax.sgd(0.1)}, {"a": "a", "v": "v"}
    )
    with pytest.raises(ValueError, match=r"Put it before optax\.partition"):
        tx.init({"a": jnp.ones(1), "v": jnp.ones(1)})


def test_another_name_for_other():
    partition = resolve_partition({"enc": "other", "head": "rest"}, PARAMS, "rest")
    assert partition.modalities == ("other",)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Callable:
    """A module that can be called, as Equinox's are."""

    encoder: object
    head: object

    def __call__(self, x):
        return self.head * (self.encoder["a"] + self.encoder["v"]) * x


def equinox_network():
    keys = jax.random.split(jax.random.key(0), 2)

    class Network(eqx.Module):
        audio: eqx.nn.Linear
        video: eqx.nn.MLP

        def __call__(self, x):
            return self.audio(x) + self.video(x)

    return Network(eqx.nn.Linear(2, 2, key=keys[0]), eqx.nn.MLP(2, 2, 2, 1, key=keys[1]))


def test_a_tree_of_strings_that_can_be_called_is_a_tree():
    params = Callable({"a": jnp.ones(2), "v": jnp.ones(3)}, jnp.ones(1))
    labels = Callable({"a": "a", "v": "v"}, "other")
    partition = resolve_partition(labels, params, "other")
    assert partition.leaf_labels == ("a", "v", "other")
    with pytest.raises(ValueError, match="labels must be strings, got 3 of type int"):
        resolve_partition(Callable({"a": "a", "v": 3}, "other"), params, "other")
    # A function made of strings is a function.
    made = jax.tree_util.Partial(lambda how, _: {"a": how, "v": "v"}, "a")
    plain = {"a": jnp.ones(2), "v": jnp.ones(3)}
    assert resolve_partition(made, plain, "other").leaf_labels == ("a", "v")


def test_an_equinox_network_of_strings_labels_one_of_arrays():
    params = eqx.filter(equinox_network(), eqx.is_inexact_array)
    labels = jax.tree.map_with_path(lambda path, _: path[0].name, params)
    assert callable(labels)
    partition = resolve_partition(labels, params, "other")
    assert partition.leaf_labels == ("audio",) * 2 + ("video",) * 4
    masam(labels).init(params)


def label_by_first_key(params):
    """As ``optax.multi_transform`` takes it."""
    return jax.tree.map_with_path(lambda path, _: path[0].key, params)


def test_a_label_function_that_says_its_modalities_maps_over_a_state():
    params = {"a": jnp.ones(2), "v": jnp.ones(3)}

    def labels(tree):
        return label_by_first_key(tree)

    tx = optax.chain(masam(labels), optax.sgd(0.1, momentum=0.9))
    state = tx.init(params)
    with pytest.raises(ValueError, match=r"optax\.tree_map_params.*label_by_path.*`modalities`"):
        optax.tree_map_params(tx, lambda p: p + 1, state)
    labels.modalities = ("a", "v")
    mapped = optax.tree_map_params(tx, lambda p: p + 1, state)
    assert float(mapped[1][0].trace["a"][0]) == 1
    assert jax.tree.structure(mapped) == jax.tree.structure(state)
