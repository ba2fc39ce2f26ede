"""Which parameters are split over devices, and everything that is laid out like them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
from jax.sharding import NamedSharding, PartitionSpec

from masam_jax.config.mesh import AXES, LARGE, write_mesh
from masam_jax.core.partition import path_name
from masam_jax.training.distribution import Placement

_SEEDS, _, _MODEL = AXES


class _Split(NamedTuple):
    """A parameter ``[S, ...]``, and where its parts are."""

    shape: tuple[int, ...]
    sharding: NamedSharding


def shardings(placement: Placement, params: Any, tree: Any) -> Any:
    """The sharding of every leaf ``[S, ...]`` of a tree.

    What is laid out like a parameter (moments of the optimizer, an average, the best so far) is
    split as it is: its path ends with the parameter's, and it has its shape. All else is split by
    seed alone.

    Args:
      placement: the devices, and the rules.
      params: the parameters ``[S, ...]``, or their shapes.
      tree: they themselves, or a state of training.

    Raises:
      ValueError: a rule finds no parameter, or does not fit one; or the mesh has an axis for the
        parameters, and none is split over it.
    """
    splits = _splits(placement, params)

    def of(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        for start in range(len(path)):
            split = splits.get(path[start:])
            if split is not None and split.shape == leaf.shape:
                return split.sharding
        return placement.seeds

    return jax.tree_util.tree_map_with_path(of, tree)


def _splits(placement: Placement, params: Any) -> Mapping[tuple[Any, ...], _Split]:
    sizes = placement.mesh.shape
    if not placement.splits_parameters:
        return {}
    rules = placement.rules or (LARGE,)
    leaves = jax.tree.leaves_with_path(params)
    names = {path: path_name(path) for path, _ in leaves}
    for rule in placement.rules:
        if not any(map(rule.pattern.search, names.values())):
            raise ValueError(
                f"shard_parameters: {rule.text!r} finds no parameter among"
                f" {', '.join(names.values())}"
            )
    splits = {}
    for path, leaf in leaves:
        matching = [rule for rule in rules if rule.pattern.search(names[path])]
        if matching:
            axes = matching[0].split(names[path], leaf.shape[1:], sizes)
            splits[path] = _Split(
                leaf.shape, NamedSharding(placement.mesh, PartitionSpec(_SEEDS, *axes))
            )
    if sizes[_MODEL] > 1 and not any(_MODEL in each.sharding.spec for each in splits.values()):
        raise ValueError(
            f"mesh {write_mesh(sizes)}: no parameter is split over model; shard_parameters"
            f" says which are, and without it those of at least {LARGE.least} numbers"
        )
    return splits
