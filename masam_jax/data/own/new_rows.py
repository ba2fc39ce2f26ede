"""Rows that a run was not trained on, made samples of by what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from masam_jax.data.modality import Modality
from masam_jax.data.own.build import make_samples
from masam_jax.data.own.columns import Columns, missing
from masam_jax.data.own.recipe import Ingredients, Recipe


class NewRows(NamedTuple):
    """Samples of n rows, not standardised.

    Attributes:
      inputs: modality -> samples ``[n, ...]``, arrays or dicts of them; None where no row has it.
      present: modality -> bool ``[n]``, the rows that have it.
    """

    inputs: dict[str, Any]
    present: dict[str, np.ndarray]


def new_rows(
    columns: Columns, recipe: Recipe, specs: Mapping[str, Modality], may_lack: bool
) -> NewRows:
    """Makes samples of rows as a run's own rows were made samples of.

    Args:
      columns: of the rows; others than the recipe's are not looked at.
      recipe: as `MultimodalData.recipe` has it.
      specs: modality -> what its samples have to look like.
      may_lack: whether rows may lack a modality.

    Raises:
      ValueError: a column is missing, a value is not what the run's were, a sample has another
        shape, or a row lacks a modality though it may not; the message names file, row and column.
    """
    found = NewRows({}, {})
    for m, spec in specs.items():
        group = recipe.modalities[m]
        has = ~np.all([_lacks(columns[name]) for name in group.columns], axis=0)
        if not has.any():
            found.inputs[m], found.present[m] = None, has
        else:
            samples = make_samples(columns, m, group)
            _check_shape(columns, group, samples.spec, spec)
            found.inputs[m], found.present[m] = samples.features, samples.present
        if not may_lack and not found.present[m].all():
            row = int(np.argmin(found.present[m]))
            raise ValueError(
                f"{columns.at(row, group.columns[0])}: the row lacks the modality {m!r}, and no"
                " sample of the run did; fill it in, or leave the row out"
            )
    return found


def recipe_of_arrays(columns: Columns, specs: Mapping[str, Modality]) -> Recipe:
    """What columns are of which nothing but their names is known: arrays, called as modalities are.

    Args:
      columns: ``x_NAME`` or ``NAME`` of each modality, and ``mask_NAME`` of sequences and tokens;
        numbers in columns ``NAME_*`` are a vector.
      specs: modality -> what its samples look like.

    Raises:
      ValueError: a modality has no column.
    """

    def group(m: str, spec: Modality) -> Ingredients:
        names = [name for name in (f"x_{m}", m) if name in columns.arrays][:1]
        if not names and spec.kind == "vector":
            names = [name for name in columns.arrays if name.startswith((f"x_{m}_", f"{m}_"))]
        if not names:
            listed = ", ".join(list(columns.arrays)[:12])
            raise ValueError(
                f"{columns.source}: no {columns.noun} is called {m} or x_{m}, as the modality is"
                f" ({columns.noun}s: {listed}{', …' if len(columns.arrays) > 12 else ''})"
            )
        mask = f"mask_{m}"
        has_mask = spec.kind in ("sequence", "tokens") and mask in columns.arrays
        return Ingredients(spec.kind, tuple(names), {"mask": mask} if has_mask else {})

    return Recipe((), {m: group(m, spec) for m, spec in specs.items()})


def _lacks(values: np.ndarray) -> np.ndarray:
    """Bool ``[N]``: the rows without any value."""
    if values.ndim > 1 and values.dtype.kind == "f":
        return np.isnan(values).reshape(len(values), -1).all(axis=1)
    return missing(values)


def _check_shape(columns: Columns, group: Ingredients, found: Modality, wanted: Modality) -> None:
    if (found.kind, found.shape) != (wanted.kind, wanted.shape):
        names = group.columns[0] + (", …" if len(group.columns) > 1 else "")
        raise ValueError(
            f"{columns.named(names)}: samples are of kind {found.kind!r} and shape"
            f" {list(found.shape)}; the run's are {wanted.kind!r} {list(wanted.shape)}"
        )
