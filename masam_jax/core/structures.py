"""How a tree differs from the parameters, in a line: the structures of real networks fill pages."""

import functools
from collections.abc import Iterable
from typing import Any

import jax

_Path = tuple[str, ...]


def describe_difference(tree: Any, params: Any, *, is_prefix: bool = False) -> str:
    """Where ``tree`` has not the structure of ``params``: the first paths, or the first container.

    Args:
      tree: a tree of another structure.
      params: the parameters.
      is_prefix: whether a leaf of ``tree`` may stand for a whole subtree of ``params``.

    Returns:
      The end of a sentence that begins with the name of ``tree``.
    """
    found, wanted = _paths(tree), _paths(params)
    ends = set(found)
    missing = [path for path in wanted if ends.isdisjoint(_beginnings(path, is_prefix))]
    known = {beginning for path in wanted for beginning in _beginnings(path, is_prefix)}
    strange = [path for path in found if path not in known]
    if len(wanted) == 1 and wanted[0] == () and strange:
        return f"has {_names(strange)}, and params is one array{_flattened(params)}"
    parts = [f"lacks {_names(missing)}"] if missing else []
    parts += [f"has {_names(strange)}, which params lacks"] if strange else []
    if not parts:
        parts = [_other_container(tree, params, is_prefix)]
    return " and ".join(parts) + _of_nnx(tree, params)


def flattened_advice(params: Any) -> str:
    """What to do where ``params`` is one vector, as inside ``optax.flatten``; else nothing."""
    return _flattened(params) if jax.tree_util.all_leaves([params]) else ""


def is_nnx_module(params: Any) -> bool:
    """Whether ``params`` is a ``flax.nnx.Module``, without importing Flax."""
    return _is_of_nnx(type(params), _MODULE)  # type: ignore[arg-type]


def nnx_bystander(params: Any) -> str | None:
    """The kind of the first ``flax.nnx.Variable`` in ``params`` that is never trained, or None."""

    def stands_by(node: Any) -> bool:
        return _is_of_nnx(type(node), _BYSTANDERS)  # type: ignore[arg-type]

    nodes = jax.tree.leaves(params, is_leaf=stands_by)
    return next((type(node).__name__ for node in nodes if stands_by(node)), None)


NNX_ADVICE = (
    "take the parameters out first, graph, params, rest = nnx.split(model, nnx.Param, ...), and"
    " merge in the loss, nnx.merge(graph, params, rest, copy=True)"
)
_MODULE = frozenset({"Module"})
_BYSTANDERS = frozenset({"BatchStat", "RngState", "Cache", "Intermediate"})


@functools.lru_cache(maxsize=1024)
def _is_of_nnx(kind: type, names: frozenset[str]) -> bool:
    return any(
        base.__name__ in names and base.__module__.startswith("flax.nnx.") for base in kind.__mro__
    )


def _paths(tree: Any) -> list[_Path]:
    return [
        tuple(jax.tree_util.keystr((key,), simple=True) for key in path)
        for path, _ in jax.tree.leaves_with_path(tree)
    ]


def _beginnings(path: _Path, is_prefix: bool) -> Iterable[_Path]:
    return (path[:length] for length in range(len(path) + 1)) if is_prefix else (path,)


def _names(paths: list[_Path], most: int = 3) -> str:
    shown = ", ".join(repr("/".join(path)) for path in paths[:most])
    return f"[{shown}{f', and {len(paths) - most} more' if len(paths) > most else ''}]"


def _flattened(params: Any) -> str:
    if getattr(params, "ndim", 0) != 1:
        return ""
    return (
        ", as inside optax.flatten: put the transformation before it in a chain,"
        " optax.chain(<this>, optax.flatten(<base optimizer>))"
    )


def _other_container(tree: Any, params: Any, is_prefix: bool) -> str:
    """The first node, from the root, that is of another type."""

    def walk(left: Any, right: Any) -> tuple[Any, Any] | None:
        of_left, of_right = left.node_data(), right.node_data()
        if of_left is None and is_prefix:
            return None
        if of_left != of_right:
            return of_left, of_right
        for pair in zip(left.children(), right.children(), strict=True):
            if (found := walk(*pair)) is not None:
                return found
        return None

    found = walk(jax.tree.structure(tree), jax.tree.structure(params))
    kinds = ["array" if data is None else data[0].__name__ for data in found or ()]
    if len(set(kinds)) == 2:
        return f"has a {kinds[0]} where params has a {kinds[1]}"
    return f"has a {kinds[0]} of other static fields than params" if kinds else "is another"


def _of_nnx(tree: Any, params: Any) -> str:
    if is_nnx_module(tree) == is_nnx_module(params):
        return ""
    name = type(params if is_nnx_module(params) else tree).__name__
    return f" ({name} is an nnx.Module: {NNX_ADVICE})"
