"""Which parameter belongs to which modality: label trees, prefixes, callables, path patterns."""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from masam_jax.core.structures import (
    NNX_ADVICE,
    describe_difference,
    flattened_advice,
    nnx_bystander,
)

Labels = Any
"""A tree of strings like the parameters, a prefix of it, or a callable from them to either."""


class Partition(NamedTuple):
    """The modality of every parameter leaf; hashable, so it can be a static argument of ``jit``.

    Attributes:
      leaf_labels: the label of each leaf, in the order of ``jax.tree.leaves(params)``.
      modalities: the labels other than ``other``, sorted: a modality's index is its place here.
    """

    leaf_labels: tuple[str, ...]
    modalities: tuple[str, ...]

    def positions(self, modality: str) -> tuple[int, ...]:
        """The positions, among the leaves of the parameters, that ``modality`` owns."""
        return tuple(i for i, label in enumerate(self.leaf_labels) if label == modality)

    def leaves(self, tree: chex.ArrayTree, modality: str) -> list[jax.Array]:
        """The leaves of ``tree``, which is like the parameters, that ``modality`` owns."""
        leaves = jax.tree.leaves(tree)
        return [leaves[i] for i in self.positions(modality)]


def resolve_partition(labels: Labels, params: optax.Params, other: str = "other") -> Partition:
    """Spreads ``labels`` over the leaves of ``params``.

    Args:
      labels: a tree of strings with the structure of ``params``, a prefix of such a tree, or a
        callable that gives either from ``params``.
      params: the whole parameter tree, any pytree.
      other: the label of the leaves that belong to no modality.

    Raises:
      ValueError: a parameter is masked (an ``optax.partition`` outside), complex, or has no
        gradient; a label is no string, the labels are no prefix of the parameters, or no modality
        is among them.
    """
    check_parameters(params)
    tree = labels if _is_label_tree(labels) else labels(params)
    given = jax.tree.leaves(tree)
    for label in given:
        if not isinstance(label, str):
            raise ValueError(
                f"labels must be strings, got {label!r} of type {type(label).__name__}"
            )
    known = set(given) | set(getattr(labels, "modalities", ()))
    modalities = tuple(sorted(known - {other}))
    if not modalities and callable(labels) and not jax.tree.leaves(params):
        raise ValueError(
            "labels is a function of the parameters, and there are none, as in"
            " optax.tree_map_params: give a tree of labels, or label_by_path(...), or set the"
            " function's attribute `modalities` to their names"
        )
    if not modalities:
        raise ValueError(
            f"labels name no modality: found {sorted(set(given))}, and {other!r} marks the leaves"
            " that belong to none; at least one other label is needed"
        )
    if not jax.tree.leaves(params):  # optax.tree.map_params initialises with an empty placeholder
        return Partition((), modalities)
    try:
        spread = jax.tree.leaves(_broadcast_prefix(tree, params))
    except ValueError as error:
        raise ValueError(
            "labels must be a tree of strings with the structure of params, a prefix of it, or a"
            f" callable of params: it {describe_difference(tree, params, is_prefix=True)}"
        ) from error
    return Partition(tuple(spread), modalities)


def check_parameters(params: optax.Params) -> None:
    """Raises ``ValueError`` where some of ``params`` is masked, complex, or not differentiable."""
    check_unmasked(params)
    check_differentiable(params)
    name, dtype = _first_leaf(params, lambda dtype: jnp.issubdtype(dtype, jnp.complexfloating))
    if name is not None:
        raise ValueError(
            f"params[{name!r}] is {dtype}, and parameters must be real: hold its real and its"
            " imaginary part as two leaves, and join them in the loss with jax.lax.complex."
            " (optax.contrib.split_real_and_imaginary is no cure: it takes no signals, and hides"
            " the parameters that a second gradient is taken at.)"
        )


def check_differentiable(params: optax.Params) -> None:
    """Raises ``ValueError`` where a leaf has no gradient: integers, booleans, keys, no arrays.

    Parameters may be arrays, their ``jax.ShapeDtypeStruct``, or Python's floats.
    """
    bystander = nnx_bystander(params)
    if bystander is not None:
        raise ValueError(
            f"params holds a {bystander}, which is no parameter to be trained: {NNX_ADVICE}"
        )
    name, dtype = _first_leaf(params, lambda dtype: not jnp.issubdtype(dtype, jnp.inexact))
    if name is not None:
        raise ValueError(
            f"params[{name!r}] is {dtype}, which has no gradient: keep it out of params. Close over"
            " it in the loss function, or pass it as a further argument of the loss."
        )


def check_unmasked(params: optax.Params) -> None:
    """Raises ``ValueError`` where ``params`` is what a wrapper makes of the parameters.

    That is an ``optax.partition`` outside, which hides some of them, or ``optax.LookaheadParams``.
    """
    if isinstance(params, optax.LookaheadParams):
        raise ValueError(
            "params is optax.LookaheadParams: initialise and update this transformation by itself,"
            " with params.fast, and give what it returns to optax.lookahead"
        )
    if any(map(_is_masked, jax.tree.leaves(params, is_leaf=_is_masked))):
        raise ValueError(
            "params holds optax.MaskedNode leaves: a transformation that looks ahead must see the"
            " whole parameter tree. Put it before optax.partition / multi_transform / masked in a"
            " chain, not inside, and partition the base optimizer alone."
        )


def label_by_path(
    rules: Mapping[str, str] | Sequence[tuple[str, str]],
    *,
    modalities: Sequence[str] | None = None,
    other: str = "other",
) -> "PathLabels":
    """Labels parameters by regular expressions over their paths; the first match wins.

    A path joins the keys of a leaf with ``/``, for instance ``encoders/audio/dense_0/kernel``; a
    pattern is searched for anywhere in it (``re.search``), so anchor it with ``^`` and ``$``.

    Args:
      rules: pattern to label, in order of precedence.
      modalities: the names a label may have, beside ``other``; any when None.
      other: the label of the leaves that belong to no modality.

    Returns:
      A callable from parameters to their tree of labels, ready to be passed as ``labels``.

    Raises:
      ValueError: (here) there are no rules, a pattern is no regular expression, or a label is
        unknown; (when called) leaves that no pattern covers, or patterns that match nothing.

    Examples:
      >>> labels = label_by_path({"^encoders/audio/": "audio", "/video/": "video", "": "other"})
      >>> labels({"encoders": {"audio": {"w": 0.0}, "video": {"w": 0.0}}, "head": 0.0})
      {'encoders': {'audio': {'w': 'audio'}, 'video': {'w': 'video'}}, 'head': 'other'}
    """
    pairs = tuple(rules.items() if isinstance(rules, Mapping) else rules)
    if not pairs:
        raise ValueError("rules is empty: give at least one (pattern, label)")
    for pair in pairs:
        if len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise ValueError(f"each rule is a (pattern, label) pair of strings, got {pair!r}")
    if modalities is not None:
        accepted = sorted({*modalities, other})
        unknown = sorted({label for _, label in pairs} - set(accepted))
        if unknown:
            raise ValueError(f"rules give unknown labels {unknown}; accepted: {accepted}")
    for pattern, _ in pairs:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"rule {pattern!r} is no regular expression: {error}") from error
    return PathLabels(pairs, other)


@dataclasses.dataclass(frozen=True)
class PathLabels:
    """A callable from parameters to labels, made by `label_by_path`."""

    rules: tuple[tuple[str, str], ...]
    other: str = "other"

    @property
    def modalities(self) -> tuple[str, ...]:
        """The labels the rules can give, without ``other``, sorted."""
        return tuple(sorted({label for _, label in self.rules} - {self.other}))

    def __call__(self, params: optax.Params) -> Any:
        """The tree of labels, with the structure of ``params``."""
        refuse_step_count(params)
        paths_and_leaves, structure = jax.tree.flatten_with_path(params)
        if not paths_and_leaves:  # optax.tree.map_params initialises with an empty placeholder
            return params
        matched: set[str] = set()
        uncovered: list[str] = []
        labels: list[str] = []
        for path, _ in paths_and_leaves:
            name = path_name(path)
            hits = [rule for rule in self.rules if re.search(rule[0], name)]
            matched.update(pattern for pattern, _ in hits)
            if not hits:
                uncovered.append(name)
            else:
                labels.append(hits[0][1])
        if uncovered:
            raise ValueError(
                f"no rule covers the parameters {_shorten(uncovered)}; the patterns are"
                f" {[pattern for pattern, _ in self.rules]} (a last rule ('', {self.other!r})"
                f" takes the rest){flattened_advice(params)}"
            )
        idle = [pattern for pattern, _ in self.rules if pattern not in matched]
        if idle:
            names = [path_name(path) for path, _ in paths_and_leaves]
            raise ValueError(
                f"patterns {idle} match nothing; the parameters are {_shorten(names)}"
                f"{flattened_advice(params)}"
            )
        return jax.tree.unflatten(structure, labels)


def path_name(path: tuple[Any, ...]) -> str:
    """The keys of a leaf joined with ``/``: ``encoders/audio/kernel``."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _is_label_tree(labels: Any) -> bool:
    """Whether ``labels`` is a tree; a module of strings is one, even if it can be called."""
    if not callable(labels):
        return True
    leaves = [] if isinstance(labels, functools.partial) else jax.tree.leaves(labels)
    return any(isinstance(leaf, str) for leaf in leaves)


def _broadcast_prefix(prefix: Any, tree: chex.ArrayTree) -> Any:
    def spread(label: str, subtree: Any) -> Any:
        return jax.tree.map(lambda _: label, subtree)

    return jax.tree.map(spread, prefix, tree)


def refuse_step_count(params: Any) -> None:
    """Raises ``ValueError`` where labels are called with a step's number, as schedules are."""
    if _is_count(params):
        raise ValueError(
            "labels were called with a step count instead of parameters: to"
            " optax.inject_hyperparams every callable is a schedule. Name them there, as in"
            ' optax.inject_hyperparams(masam, static_args=("labels",))(labels, ...)'
        )


def _is_count(params: Any) -> bool:
    """Whether ``params`` is one integer, which no parameter is."""
    if isinstance(params, int):
        return True
    dtype = getattr(params, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jnp.integer) and jnp.ndim(params) == 0


def _first_leaf(
    params: optax.Params, is_wrong: Callable[[Any], bool]
) -> tuple[str | None, np.dtype | str]:
    """The path and the dtype of the first leaf whose dtype is wrong; None where there is none."""
    dtypes = [_dtype(leaf) for leaf in jax.tree.leaves(params)]
    wrong = {dtype for dtype in set(dtypes) if is_wrong(dtype)}
    if not wrong:
        return None, ""
    index = next(i for i, dtype in enumerate(dtypes) if dtype in wrong)
    path, leaf = jax.tree.leaves_with_path(params)[index]
    is_array = dtypes[index] != np.dtype(object)
    return path_name(path), dtypes[index] if is_array else type(leaf).__name__


def _dtype(leaf: Any) -> Any:
    """That of an array, of a ``ShapeDtypeStruct``, or of a number; NumPy's object for all else."""
    dtype = getattr(leaf, "dtype", None)
    if dtype is not None:
        return dtype
    is_number = isinstance(leaf, bool | int | float | complex)
    return np.asarray(leaf).dtype if is_number else np.dtype(object)


def _is_masked(node: Any) -> bool:
    return isinstance(node, optax.MaskedNode)


def _shorten(names: list[str], most: int = 12) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return f"[{shown}{f', and {len(names) - most} more' if len(names) > most else ''}]"
