"""Arrays of a run's state that are younger than the format of checkpoints.

They count or report and nothing is trained by them, so that a checkpoint without them is whole:
what an older version began goes on, and they start at zero.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

import jax
import numpy as np

# By path: counts of dominance, and what methods report of a step.
_YOUNGER = re.compile(r"opt_state/(counts|steps|choices/\w+)|(.+/)?report/.+")


def path_of(path: tuple[Any, ...]) -> str:
    """The path of an array in a state, its keys joined with ``/``."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def younger_arrays(saved: Collection[str], wanted: Collection[str]) -> frozenset[str]:
    """The paths that a state has, a checkpoint lacks, and which may be lacking.

    Args:
      saved: paths of the arrays in the checkpoint.
      wanted: paths of the arrays of the state.
    """
    return frozenset(p for p in wanted if p not in saved and _YOUNGER.fullmatch(p))


def without(tree: Any, paths: Collection[str], prefix: str = "") -> Any:
    """A tree without some of its arrays, as Orbax finds the rest: dicts for named tuples.

    What has no array left is left out of dicts, and None in sequences.

    Args:
      tree: dicts, named tuples, tuples, lists, with arrays or their shapes at the leaves.
      paths: of the arrays to leave out.
      prefix: where the tree is within the state.
    """
    if isinstance(tree, tuple) and hasattr(tree, "_asdict"):
        tree = tree._asdict()
    if isinstance(tree, Mapping):
        kept = {k: without(v, paths, f"{prefix}{k}/") for k, v in tree.items()}
        return {k: v for k, v in kept.items() if v is not None} or None
    if isinstance(tree, tuple | list):
        parts = [without(v, paths, f"{prefix}{i}/") for i, v in enumerate(tree)]
        return None if all(part is None for part in parts) else type(tree)(parts)
    return None if prefix.removesuffix("/") in paths else tree


def filled_up(like: Any, found: Any) -> Any:
    """The tree ``like`` with the arrays of ``found``, zeros for those that it has not.

    Args:
      like: a tree of shapes, dtypes and shardings.
      found: arrays, in the form that `without` gives.
    """
    arrays = {path_of(path): x for path, x in jax.tree_util.tree_leaves_with_path(found)}

    def fill(path: tuple[Any, ...], leaf: Any) -> Any:
        name = path_of(path)
        if name in arrays:
            return arrays[name]
        zeros = np.zeros(leaf.shape, leaf.dtype)
        return jax.make_array_from_callback(leaf.shape, leaf.sharding, lambda index: zeros[index])

    return jax.tree_util.tree_map_with_path(fill, like)
