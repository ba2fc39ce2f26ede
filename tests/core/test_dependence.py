"""What a function reads of its operand, wherever in a program it reads it."""

import jax
import jax.numpy as jnp
import pytest
from jax.flatten_util import ravel_pytree
from jax.interpreters import partial_eval
from jax.sharding import AxisType, PartitionSpec

from masam_jax.core.dependence import inputs_read

TREE = {name: jnp.full((3,), value, jnp.float32) for value, name in enumerate("abcd")}


def _scan(tree):
    def step(carry, x):
        first, second = carry
        return (second, x * tree["c"]), first

    (last, _), _ = jax.lax.scan(step, (tree["a"], tree["b"]), jnp.ones((2, 3)))
    return last


def _while(tree):
    return jax.lax.while_loop(lambda x: x.sum() < 9, lambda x: x + 1, tree["b"])


@jax.custom_jvp
def _first(x, y):
    return x


_first.defjvp(lambda primals, tangents: (primals[0], tangents[0]))


@jax.custom_vjp
def _second(x, y):
    return y


_second.defvjp(lambda x, y: (y, None), lambda _, g: (jnp.zeros_like(g), g))


@jax.custom_vjp
def _first_for_both(x, y):
    return x


# As a straight-through estimator may: the gradient goes where the value does not come from.
_first_for_both.defvjp(lambda x, y: (x, None), lambda _, g: (g, 2 * g))


@jax.custom_vjp
def _of_trees(tree):
    return jnp.tanh(tree["c"]) * tree["d"]


_of_trees.defvjp(
    lambda tree: (_of_trees(tree), tree), lambda tree, g: jax.vjp(_of_trees.fun, tree)[1](g)
)


def _while_of_many(tree):
    def body(carry):
        first, second, third = carry
        return second + 1, first * tree["d"], third

    return jax.lax.while_loop(
        lambda carry: carry[1].sum() < 9, body, (tree["a"], tree["b"], tree["c"])
    )[0]


def _while_that_passes_on(tree):
    def body(carry):
        count, _, second, third = carry
        return count + 1, second, third, third

    start = (0, tree["a"], tree["b"], tree["c"])
    return jax.lax.while_loop(lambda carry: carry[0] < 3, body, start)[1]


def _packed(tree, alter=lambda flat: flat):
    flat, unpack = ravel_pytree(tree)
    return unpack(alter(flat))


def _stacked(tree):
    stacked = jnp.stack([tree["a"], tree["b"], tree["c"]])
    return 2 * stacked[1:][0]


def _in_shard_map(tree):
    mesh = jax.make_mesh((2,), ("d",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec()

    def run(t):
        return t["a"] + t["d"], t["b"]

    return jax.shard_map(run, mesh=mesh, in_specs=spec, out_specs=spec)(tree)[0]


@jax.custom_batching.custom_vmap
def _second_leaf(tree):
    return tree["b"] + 1


@_second_leaf.def_vmap
def _second_leaves(axis_size, in_batched, tree):
    return tree["b"] + 1, in_batched[0]["b"]


FUNCTIONS = {
    "plain": (lambda t: t["a"] + 2 * t["c"], "ac"),
    "nothing": (lambda t: jnp.zeros(3), ""),
    "an output that is an input": (lambda t: (t["b"], 1.0), "b"),
    "computed and dropped": (lambda t: (t["a"] * t["d"], t["b"])[1], "b"),
    "jit that drops": (lambda t: jax.jit(lambda x: {"a": x["a"], "b": x["b"] + 1})(t)["a"], "a"),
    "jit of jit": (lambda t: jax.jit(lambda x: jax.jit(lambda y: y["d"] ** 2)(x))(t), "d"),
    "remat": (lambda t: jax.checkpoint(lambda x: (x["a"], x["b"]))(t)[1], "b"),
    "cond": (lambda t: jax.lax.cond(t["d"][0] > 0, lambda: t["a"], lambda: t["b"]), "abd"),
    "scan": (_scan, "abc"),
    "while": (_while, "b"),
    "vmap of jit": (lambda t: jax.vmap(jax.jit(lambda x, y: x + 0 * y))(t["a"], t["c"]), "ac"),
    "shard_map": (_in_shard_map, "ad"),
}
# What JAX's own elimination keeps more of.
FURTHER = {
    "custom jvp": (lambda t: _first(t["a"], t["b"]), "a"),
    "custom vjp": (lambda t: _second(t["a"], t["b"]), "b"),
    "custom vjp of a tree": (_of_trees, "cd"),
    "custom vjp in jit in remat": (jax.checkpoint(jax.jit(_of_trees)), "cd"),
    "a gradient without value": (lambda t: _first_for_both(t["a"], t["b"]), "ab"),
    "custom vmap": (_second_leaf, "b"),
    "barrier": (lambda t: jax.lax.optimization_barrier(t)["c"], "c"),
    "device_put": (lambda t: jax.device_put(t)["c"], "c"),
    "while of many": (_while_of_many, "abd"),
    "while that passes on": (_while_that_passes_on, "abc"),
    "packed": (lambda t: _packed(t)["b"], "b"),
    "packed, scaled and shifted": (lambda t: _packed(t, lambda x: 2 * x + jnp.ones(12))["d"], "d"),
    "packed in bfloat16": (lambda t: _packed(t, lambda x: x.astype(jnp.bfloat16))["a"], "a"),
    "packed in jit": (lambda t: jax.jit(_packed)(t)["c"], "c"),
    "packed and mixed": (lambda t: _packed(t, jnp.cumsum)["a"], "abcd"),
    "packed and reversed": (lambda t: _packed(t, lambda x: x[::-1])["a"], "abcd"),
    "packed and cut across": (lambda t: _packed(t, lambda x: jnp.roll(x, 1))["b"], "ab"),
    "stacked": (_stacked, "b"),
    "stacked and unstacked": (lambda t: jnp.unstack(jnp.stack([t["a"], t["d"]]))[1], "d"),
    "a callback": (
        lambda t: jax.pure_callback(lambda x: x["a"], jax.ShapeDtypeStruct((3,), jnp.float32), t),
        "abcd",
    ),
    "a branch by platform": (
        lambda t: jax.lax.platform_dependent(t, cpu=lambda x: x["a"], default=lambda x: x["b"]),
        "ab",
    ),
}


@pytest.mark.parametrize("name", [*FUNCTIONS, *FURTHER])
def test_what_is_read(name):
    function, expected = (FUNCTIONS | FURTHER)[name]
    found = "".join(k for k, read in zip(TREE, inputs_read(function, TREE), strict=True) if read)
    assert found == expected


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_is_what_jax_s_own_elimination_of_dead_code_keeps(name):
    function, _ = FUNCTIONS[name]
    jaxpr = jax.make_jaxpr(function)(TREE).jaxpr
    _, kept = partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))
    assert inputs_read(function, TREE) == list(kept)


def test_a_carry_that_is_read_two_steps_later():
    def function(tree):
        def step(carry, _):
            return (carry[1], carry[2], carry[2]), None

        return jax.lax.scan(step, (tree["a"], tree["b"], tree["c"]), None, length=3)[0][0]

    assert inputs_read(function, TREE) == [True, True, True, False]


@pytest.mark.parametrize("name", ["packed", "packed and cut across", "stacked", "custom vjp"])
def test_what_is_not_read_makes_no_difference(name):
    function, expected = FURTHER[name]
    want = function(TREE)
    for leaf in TREE:
        changed = function({**TREE, leaf: TREE[leaf] + 5})
        assert bool(jnp.any(changed != want)) == (leaf in expected)


def test_leaves_of_several_shapes_and_none_are_told_apart_in_a_vector():
    tree = {"a": jnp.ones((2, 3)), "empty": jnp.ones((0, 4)), "n": jnp.ones(()), "z": jnp.ones(5)}
    for name, expected in {"a": "a", "n": "n", "z": "z"}.items():
        read = inputs_read(lambda t, name=name: _packed(t)[name], tree)
        assert "".join(k for k, is_read in zip(tree, read, strict=True) if is_read) == expected


def test_integers_beside_floats_under_a_rule_of_differentiation():
    tree = {"count": jnp.int32(2), "x": jnp.ones(3), "y": jnp.ones(3)}
    assert inputs_read(lambda t: _first(t["x"], t["count"]), tree) == [False, True, False]
    assert inputs_read(lambda t: _first(t["count"], t["x"]), tree) == [True, False, False]
