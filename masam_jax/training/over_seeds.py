"""A step of one seed as the step of all: under ``vmap``, or a seed on each device."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from masam_jax.training.distribution import Placement
from masam_jax.training.one_step import Given

SEED_AXES = Given(0, 0, 0, None, 0, None, 0)
"""The axis of seeds of what a step is given."""


def over_seeds(
    step: Callable[..., Any], placement: Placement, num_seeds: int, *, branches: bool = False
) -> Callable[..., Any]:
    """``step`` of one seed, ``(donated, method_state, given)``, of all seeds.

    Where the mesh has an axis of seeds, each device takes its own through ``shard_map``. A device
    with one seed runs it as it is, so that a branch is a branch; under ``vmap`` all of them would
    be computed, for each seed. They are where several devices share a seed: their sums would lie
    inside branches, of which devices of other seeds take others, and nobody promises that no
    backend waits for those.

    The only seed of a run is run as it is where devices have parts of its parameters, and else
    under ``vmap``, whose numbers differ in the last bits.

    Args:
      step: the step.
      placement: the mesh.
      num_seeds: S.
      branches: whether the only seed is run as it is anyway.
    """
    together = jax.vmap(step, in_axes=(0, 0, SEED_AXES))
    sizes = placement.mesh.shape
    if sizes["seeds"] == 1:
        keeps = branches or placement.splits_parameters
        return alone(step) if keeps and num_seeds == 1 else together
    by_seed, whole = PartitionSpec("seeds"), PartitionSpec()
    shared = any(size > 1 for axis, size in sizes.items() if axis != "seeds")
    specs = Given(*(by_seed if axis == 0 else whole for axis in SEED_AXES))
    return jax.shard_map(
        alone(step) if num_seeds == sizes["seeds"] and not shared else together,
        mesh=placement.mesh,
        in_specs=(by_seed, by_seed, specs),
        out_specs=by_seed,
        # The other axes stay with XLA's propagation; seeds do not talk to each other.
        axis_names={axis for axis in sizes if axis == "seeds" or sizes[axis] == 1},
        check_vma=False,
    )


def first(tree: Any) -> Any:
    """The first seed's part."""
    return jax.tree.map(lambda leaf: leaf[0], tree)


def first_given(given: Given) -> Given:
    """What the first seed is given."""
    own = first(given._replace(step=None, resident=None))
    return own._replace(step=given.step, resident=given.resident)


def with_axis(tree: Any) -> Any:
    """One seed's part with the axis of seeds."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], tree)


def alone(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` of the only seed, with the axis of seeds."""

    def of_first(donated: Any, method_state: Any, given: Given) -> Any:
        return with_axis(step(first(donated), first(method_state), first_given(given)))

    return of_first
