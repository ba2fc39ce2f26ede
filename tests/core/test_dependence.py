"""What a function reads of its operand, wherever in a program it reads it."""

import jax
import jax.numpy as jnp
import pytest
from jax.interpreters import partial_eval

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

FUNCTIONS = {
    "plain": (lambda t: t["a"] + 2 * t["c"], "ac"),
    "nothing": (lambda t: jnp.zeros(3), ""),
    "an output that is an input": (lambda t: (t["b"], 1.0), "b"),
    "computed and dropped": (lambda t: (t["a"] * t["d"], t["b"])[1], "b"),
    "jit that drops": (lambda t: jax.jit(lambda x: {"a": x["a"], "b": x["b"] + 1})(t)["a"], "a"),
    "jit of jit": (lambda t: jax.jit(lambda x: jax.jit(lambda y: y["d"] ** 2)(x))(t), "d"),
    "remat": (lambda t: jax.checkpoint(lambda x: (x["a"], x["b"]))(t)[1], "b"),
    "custom jvp": (lambda t: _first(t["a"], t["b"]), "ab"),
    "custom vjp": (lambda t: _second(t["a"], t["b"]), "ab"),
    "cond": (lambda t: jax.lax.cond(t["d"][0] > 0, lambda: t["a"], lambda: t["b"]), "abd"),
    "scan": (_scan, "abc"),
    "while": (_while, "b"),
    "vmap of jit": (lambda t: jax.vmap(jax.jit(lambda x, y: x + 0 * y))(t["a"], t["c"]), "ac"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_read(name):
    function, expected = FUNCTIONS[name]
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
