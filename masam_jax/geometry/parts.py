"""Parts of the parameters that are measured: everything, or each modality's."""

import jax
import optax

from masam_jax.core.partition import Labels, resolve_partition
from masam_jax.geometry.derivatives import Positions

ALL, OTHER = "all", "other"


def parts_of(labels: Labels | None, params: optax.Params) -> dict[str, Positions]:
    """The leaves of each modality, and under ``"other"`` those of none, where there are any.

    Args:
      labels: as ``masam`` takes them; None for the parameters as a whole, ``"all"``.
      params: the parameters.

    Raises:
      ValueError: the labels do not fit the parameters, or a modality is named ``"all"``.
    """
    if labels is None:
        return {ALL: everything(params)}
    partition = resolve_partition(labels, params, OTHER)
    if ALL in partition.modalities:
        raise ValueError(f"labels name a modality {ALL!r}, which stands for all parameters")
    names = (*partition.modalities, OTHER)
    parts = {name: partition.positions(name) for name in names}
    return {name: positions for name, positions in parts.items() if positions}


def everything(params: optax.Params) -> Positions:
    """All leaves."""
    return tuple(range(len(jax.tree.leaves(params))))


def parts_and_whole(labels: Labels | None, params: optax.Params) -> dict[str, Positions]:
    """All leaves, under ``"all"``, and the parts as `parts_of` has them."""
    return {ALL: everything(params)} | parts_of(labels, params)
