"""A base optimizer that may move some partitions of the parameters and leave the others alone."""

from collections.abc import Sequence
from typing import Any

import optax


def by_partition(
    base: optax.GradientTransformation,
    labels: Any,
    modalities: Sequence[str],
    other: str = "other",
    of_other: optax.GradientTransformation | None = None,
) -> optax.GradientTransformationExtraArgs:
    """``base`` with a state of its own for each partition.

    ``update`` takes the static extra argument ``phase``: with a modality's name, its partition and
    ``other`` move, all else has zero updates and keeps its state (momentum does not go on, nor does
    weight decay); without it everything moves, as under ``base`` itself if that acts by element.

    Args:
      base: the optimizer.
      labels: a modality's name or ``other`` for every parameter: a tree or a callable.
      modalities: their names.
      other: the label of what belongs to no modality.
      of_other: the optimizer of that, which moves in every phase; ``base`` when None.

    Raises:
      ValueError: (in ``update``) the phase is none of the modalities.
    """
    groups = (*modalities, other)
    bases = dict.fromkeys(groups, base) | {other: base if of_other is None else of_other}
    tx = optax.with_extra_args_support(optax.partition(bases, labels))

    def update_fn(
        updates: Any, state: Any, params: Any = None, *, phase: str | None = None, **extra: Any
    ) -> tuple[Any, Any]:
        if phase not in (None, *modalities):
            raise ValueError(f"phase is {phase!r}; the modalities are {list(modalities)}")
        updates, moved = tx.update(updates, state, params, **extra)
        if phase is None:
            return updates, moved
        still = [group for group in groups if group not in (phase, other)]
        kept = {group: state.inner_states[group] for group in still}
        moved = moved._replace(inner_states={**moved.inner_states, **kept})
        freeze = optax.partition(
            {g: optax.set_to_zero() if g in still else optax.identity() for g in groups}, labels
        )
        updates, _ = freeze.update(updates, freeze.init(updates), params)
        return updates, moved

    return optax.GradientTransformationExtraArgs(tx.init, update_fn)
