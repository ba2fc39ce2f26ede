"""``recipe.json``: how other rows of a table become samples like those of the run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from masam_jax.config.errors import RunError
from masam_jax.data.own.dataset_toml import SETTINGS
from masam_jax.data.own.recipe import Ingredients, Recipe
from masam_jax.training.storage.sealed_files import read_sealed_json, write_sealed_json

_RECIPE = "recipe.json"
# Parts are for training; other rows have none.
_FIELDS = ("label", "key", "classes", "modalities")


def save_recipe(root: Path, recipe: Recipe | None) -> None:
    """Writes the recipe, if there is one.

    Raises:
      OSError: it cannot be written.
    """
    if recipe is not None:
        content = dataclasses.asdict(recipe)
        write_sealed_json(root / _RECIPE, {name: content[name] for name in _FIELDS})


def saved_recipe(root: Path) -> Recipe | None:
    """What `save_recipe` wrote; None for nothing.

    Raises:
      RunError: the file is damaged.
    """
    path = root / _RECIPE
    if not path.is_file():
        return None
    content = read_sealed_json(path, _FIELDS)
    try:
        classes, key = content["classes"], content["key"]
        return Recipe(
            label=_texts(content["label"]),
            modalities={m: _ingredients(entry) for m, entry in content["modalities"].items()},
            key=None if key is None else str(key),
            classes=None if classes is None else _texts(classes),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path} is damaged: {error}") from error


def _ingredients(entry: Any) -> Ingredients:
    kind, columns, settings = entry["kind"], _texts(entry["columns"]), dict(entry["settings"])
    if kind not in SETTINGS or not columns:
        raise ValueError(f"columns {columns} are of kind {kind!r}")
    return Ingredients(kind, columns, settings)


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{values!r} is no list of names")
    return tuple(values)
