"""Which inputs of a function its outputs depend on, read off its jaxpr."""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal


def inputs_read(function: Callable[[Any], Any], operand: Any) -> list[bool]:
    """Whether the result of ``function(operand)`` depends on each leaf of ``operand``.

    A loop that ends by a condition counts as reading all that it is given, and so does a function
    with a derivative of its own.

    Args:
      function: traced, and not run.
      operand: a tree of arrays.
    """
    jaxpr = jax.make_jaxpr(function)(operand).jaxpr
    return _live_inputs(jaxpr, [True] * len(jaxpr.outvars))


def _live_inputs(jaxpr: Jaxpr, live_outputs: list[bool]) -> list[bool]:
    """Backwards from the outputs that count to the inputs that they are made of."""
    live = {
        id(variable)
        for variable, counts in zip(jaxpr.outvars, live_outputs, strict=True)
        if counts and not isinstance(variable, Literal)
    }
    for equation in reversed(jaxpr.eqns):
        outputs = [id(variable) in live for variable in equation.outvars]
        if any(outputs):
            used = zip(equation.invars, _live_operands(equation, outputs), strict=True)
            live |= {id(v) for v, is_used in used if is_used and not isinstance(v, Literal)}
    return [id(variable) in live for variable in jaxpr.invars]


def _live_operands(equation: JaxprEqn, live_outputs: list[bool]) -> list[bool]:
    name, parameters = equation.primitive.name, equation.params
    everything = [True] * len(equation.invars)
    if name == "cond":
        branches = [_live_inputs(b.jaxpr, live_outputs) for b in parameters["branches"]]
        return [True, *map(any, zip(*branches, strict=True))]
    # A rule of differentiation of its own may read what the value does not.
    if name == "while" or name.startswith("custom_"):
        return everything
    inner = [x for x in parameters.values() if isinstance(x, ClosedJaxpr | Jaxpr)]
    if len(inner) != 1 or len(_open(inner[0]).invars) != len(equation.invars):
        return everything
    used = _live_inputs(_open(inner[0]), live_outputs)
    if name != "scan":
        return used
    # What a step makes of its carry is what the next one reads; of no step, what it was given.
    begin, count = parameters["num_consts"], parameters["num_carry"]
    carried = [a or b for a, b in zip(live_outputs, used[begin : begin + count], strict=False)]
    further = [*carried, *live_outputs[count:]]
    if further != live_outputs:
        return _live_operands(equation, further)
    return [*used[:begin], *carried, *used[begin + count :]]


def _open(jaxpr: ClosedJaxpr | Jaxpr) -> Jaxpr:
    return jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
