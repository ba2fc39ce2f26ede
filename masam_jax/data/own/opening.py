"""Data of one's own, opened from wherever they are."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from masam_jax.core.user_code import is_function
from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.own.build import build, data_name
from masam_jax.data.own.dataset_toml import read_recipe, with_columns
from masam_jax.data.own.digest import fingerprint
from masam_jax.data.own.folder import locate, read_columns
from masam_jax.data.own.function import data_of_function
from masam_jax.data.own.infer import guess
from masam_jax.data.own.options import OwnOptions
from masam_jax.data.own.parts import split_function
from masam_jax.data.own.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class OwnData:
    """Data of one's own, and what was taken for what.

    Attributes:
      data: the data set.
      recipe: what its columns are; None of a function.
      doubts: what may be wrong with the recipe, a sentence each; none of one that was written down.
      vocabulary: words of its text, by token; empty where there is no text, or several.
    """

    data: MultimodalData
    recipe: Recipe | None = None
    doubts: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()


def open_own(place: str, options: OwnOptions) -> OwnData:
    """Opens a file, a folder or a function.

    Args:
      place: its path, or ``package.module:function``.
      options: which columns are what, and how rows are split.

    Raises:
      ValueError: there is nothing, it is damaged, or not as asked; the message names the file, the
        row and the column.
    """
    if is_function(place) and not Path(place).exists():
        return _of_function(place, options)
    path = Path(place).expanduser()
    source = locate(path)
    columns = read_columns(source.place)
    if source.toml is None:
        recipe, doubts = guess(columns, options)
    else:
        written = read_recipe(source.toml).with_options(options)
        recipe, doubts = with_columns(written, columns, source.toml), ()
    data, vocabulary = build(columns, recipe, data_name(path))
    notes = tuple(f"{data.name}: {doubt}." for doubt in doubts)
    return OwnData(dataclasses.replace(data, notes=notes), recipe, doubts, vocabulary)


def _of_function(place: str, options: OwnOptions) -> OwnData:
    named = [name for name in ("label", "split", "group", "key") if getattr(options, name)]
    if named:
        raise ValueError(
            f"{place}: {named[0]}= names a column, and a function has none; MultimodalData has"
            " labels, groups, keys and a splitter"
        )
    if options.task is not None:
        raise ValueError(f"{place}: task={options.task} is said by its MultimodalData(task=...)")
    data = data_of_function(place)
    recipe = Recipe((), {}).with_options(options)
    if data.splitter is None or options != OwnOptions():
        splitter = split_function(data.labels, data.groups, None, recipe, recipe.folds)
        data = dataclasses.replace(data, splitter=splitter)
    if not data.fingerprint:
        data = dataclasses.replace(data, fingerprint=fingerprint(data, recipe=recipe))
    return OwnData(data)
