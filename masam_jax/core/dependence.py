"""Which inputs of a function its outputs depend on, read off its jaxpr.

Backwards from the outputs, element by element where elements only move (a tree packed into one
vector and unpacked again), array by array elsewhere.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, Var

Parts = tuple[tuple[int, int], ...]
"""Which elements of an array count, in row-major order: disjoint ``(start, stop)``, sorted."""

# One output for each operand, and made of it alone.
_SEPARATE = frozenset(
    {"optimization_barrier", "device_put", "pvary", "pcast"}
    | {"psum", "psum_invariant", "pmax", "pmin", "ppermute"}
)
# Element i of the output is made of element i of each operand of the same size.
_ELEMENTWISE = frozenset(
    {"reshape", "squeeze", "broadcast_in_dim", "convert_element_type", "reduce_precision", "copy"}
    | {"neg", "add", "sub", "mul", "div", "max", "min", "select_n"}
)


def inputs_read(function: Callable[[Any], Any], operand: Any) -> list[bool]:
    """Whether the result of ``function(operand)``, or its derivative, depends on each leaf.

    What cannot be followed, such as a kernel or a callback, counts as reading all that it is given.

    Args:
      function: traced, and not run.
      operand: a tree of arrays.
    """
    jaxpr = jax.make_jaxpr(function)(operand).jaxpr
    everything = [_whole(variable) for variable in jaxpr.outvars]
    read = [bool(parts) for parts in _live_inputs(jaxpr, everything, in_rules=False)]
    at_most = [bool(parts) for parts in _live_inputs(jaxpr, everything, in_rules=True)]
    # A rule of differentiation of its own may read what the value does not.
    doubtful = [i for i, possible in enumerate(at_most) if possible and not read[i]]
    for i in _with_gradient(function, operand, doubtful):
        read[i] = True
    return read


def _with_gradient(
    function: Callable[[Any], Any], operand: Any, positions: Sequence[int]
) -> list[int]:
    """Those of ``positions`` among the leaves whose gradient is not zero by construction."""
    leaves, structure = jax.tree.flatten(operand)
    inexact = [i for i in positions if jnp.issubdtype(jnp.result_type(leaves[i]), jnp.inexact)]
    if not inexact:
        return []

    def outputs(chosen: Sequence[Any]) -> list[Any]:
        full = list(leaves)
        for i, leaf in zip(inexact, chosen, strict=True):
            full[i] = leaf
        results = jax.tree.leaves(function(jax.tree.unflatten(structure, full)))
        return [x for x in results if jnp.issubdtype(jnp.result_type(x), jnp.inexact)]

    def pull_back(cotangents: Any, chosen: Any) -> Any:
        return jax.vjp(outputs, chosen)[1](cotangents)

    chosen = [leaves[i] for i in inexact]
    jaxpr = jax.make_jaxpr(pull_back)(jax.eval_shape(outputs, chosen), chosen).jaxpr
    count = len(jaxpr.invars) - len(chosen)

    def of_cotangents(outputs: Sequence[int]) -> bool:
        live = [_whole(v) if i in outputs else () for i, v in enumerate(jaxpr.outvars)]
        return any(_live_inputs(jaxpr, live, in_rules=True)[:count])

    everyone = range(len(inexact))
    if not of_cotangents(everyone):
        return []
    return [inexact[i] for i in everyone if of_cotangents([i])]


def _live_inputs(jaxpr: Jaxpr, live_outputs: Sequence[Parts], in_rules: bool) -> list[Parts]:
    """Backwards from the outputs that count to the inputs that they are made of.

    Args:
      jaxpr: the program.
      live_outputs: what counts of each output.
      in_rules: whether a function with a derivative of its own reads all that it is given.
    """
    live: dict[Var, Parts] = {}

    def read(variables: Sequence[Any], parts: Sequence[Parts]) -> None:
        for variable, some in zip(variables, parts, strict=True):
            if some and not isinstance(variable, Literal):
                live[variable] = _union(live.get(variable, ()), some)

    read(jaxpr.outvars, live_outputs)
    for equation in reversed(jaxpr.eqns):
        outputs = [live.get(variable, ()) for variable in equation.outvars]
        if any(outputs):
            read(equation.invars, _live_operands(equation, outputs, in_rules))
    return [live.get(variable, ()) for variable in jaxpr.invars]


def _live_operands(equation: JaxprEqn, outputs: list[Parts], in_rules: bool) -> list[Parts]:
    name, parameters = equation.primitive.name, equation.params
    moved = _moved(name, equation, outputs)
    if moved is not None:
        return moved
    everything = [_whole(variable) for variable in equation.invars]
    if name == "cond":
        branches = [_inside(b, equation, outputs, in_rules, 1) for b in parameters["branches"]]
        return [everything[0], *(_union(*each) for each in zip(*branches, strict=True))]
    if name == "while":
        return _live_in_while(equation, outputs, in_rules)
    if in_rules and name.startswith(("custom_jvp", "custom_vjp")):
        return everything
    inner = [x for x in parameters.values() if isinstance(x, ClosedJaxpr | Jaxpr)]
    if len(inner) != 1 or len(_open(inner[0]).invars) != len(equation.invars):
        return everything
    if len(_open(inner[0]).outvars) != len(equation.outvars):
        return everything
    if name != "scan":
        return _inside(inner[0], equation, outputs, in_rules)
    # What a step makes of its carry is what the next one reads; of no step, what it was given.
    begin, count = parameters["num_consts"], parameters["num_carry"]
    while True:
        used = _inside(inner[0], equation, outputs, in_rules)
        carried = [bool(a or b) for a, b in zip(outputs, used[begin : begin + count], strict=False)]
        further = [_whole(equation.outvars[i]) if c else () for i, c in enumerate(carried)]
        if further == outputs[:count]:
            return [*used[:begin], *further, *used[begin + count :]]
        outputs = [*further, *outputs[count:]]


def _live_in_while(equation: JaxprEqn, outputs: list[Parts], in_rules: bool) -> list[Parts]:
    parameters = equation.params
    condition, body = _open(parameters["cond_jaxpr"]), _open(parameters["body_jaxpr"])
    of_condition, of_body = parameters["cond_nconsts"], parameters["body_nconsts"]
    tested = _live_inputs(condition, [_whole(v) for v in condition.outvars], in_rules)
    carried = [bool(a or b) for a, b in zip(outputs, tested[of_condition:], strict=True)]
    while True:
        live = [_whole(v) if c else () for v, c in zip(body.outvars, carried, strict=True)]
        used = _live_inputs(body, live, in_rules)
        further = [bool(a or b) for a, b in zip(carried, used[of_body:], strict=True)]
        if further == carried:
            return [*tested[:of_condition], *used[:of_body], *live]
        carried = further


def _inside(
    jaxpr: ClosedJaxpr | Jaxpr,
    equation: JaxprEqn,
    outputs: Sequence[Parts],
    in_rules: bool,
    first: int = 0,
) -> list[Parts]:
    """What counts of the operands, from ``first`` on, that a program inside an equation reads."""
    inner, operands = _open(jaxpr), equation.invars[first:]
    live = [
        parts if _size(mine) == _size(its) else _all_or_none(its, parts)
        for its, mine, parts in zip(inner.outvars, equation.outvars, outputs, strict=True)
    ]
    used = _live_inputs(inner, live, in_rules)
    return [
        parts if _size(mine) == _size(its) else _all_or_none(mine, parts)
        for its, mine, parts in zip(inner.invars, operands, used, strict=True)
    ]


def _moved(name: str, equation: JaxprEqn, outputs: list[Parts]) -> list[Parts] | None:
    """What counts of each operand where elements only move; None where they do not, or may not."""
    parameters, operands = equation.params, equation.invars
    if name in _SEPARATE and len(operands) == len(outputs):
        return outputs
    if name in _ELEMENTWISE and not (name == "reshape" and parameters["dimensions"]):
        size = _size(equation.outvars[0])
        return [outputs[0] if _size(v) == size else _whole(v) for v in operands]
    axis = parameters.get("dimension", parameters.get("axis"))
    if name in ("concatenate", "stack") and axis == 0:
        begins = _offsets(operands)
        return [_cut(outputs[0], b, b + _size(v)) for b, v in zip(begins, operands, strict=True)]
    if name in ("split", "unstack") and axis == 0:
        begins = _offsets(equation.outvars)
        return [_union(*(_shift(p, b) for p, b in zip(outputs, begins, strict=True)))]
    if name == "slice" and all(step == 1 for step in parameters["strides"] or ()):
        shape, begin = _shape(operands[0]), parameters["start_indices"]
        if shape and _shape(equation.outvars[0])[1:] == shape[1:]:
            return [_shift(outputs[0], begin[0] * math.prod(shape[1:]))]
    return None


def _shape(variable: Any) -> tuple[int, ...]:
    return getattr(variable.aval, "shape", ())


def _size(variable: Any) -> int:
    return math.prod(_shape(variable))


def _whole(variable: Any) -> Parts:
    size = _size(variable)
    return ((0, size),) if size else ()


def _all_or_none(variable: Any, parts: Parts) -> Parts:
    return _whole(variable) if parts else ()


def _offsets(variables: Sequence[Any]) -> list[int]:
    return list(itertools.accumulate(map(_size, variables[:-1]), initial=0))


def _shift(parts: Parts, by: int) -> Parts:
    return tuple((start + by, stop + by) for start, stop in parts)


def _cut(parts: Parts, begin: int, end: int) -> Parts:
    inside = ((max(start, begin), min(stop, end)) for start, stop in parts)
    return tuple((start - begin, stop - begin) for start, stop in inside if start < stop)


def _union(*parts: Parts) -> Parts:
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(piece for each in parts for piece in each):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    return tuple(joined)


def _open(jaxpr: ClosedJaxpr | Jaxpr) -> Jaxpr:
    return jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
