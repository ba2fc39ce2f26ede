"""``dataset.toml``, written for data as they look."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from masam_jax.core.user_code import is_function
from masam_jax.data.own.dataset_toml import recipe_text
from masam_jax.data.own.folder import locate, read_columns
from masam_jax.data.own.infer import guess
from masam_jax.data.own.location import TOML_NAME
from masam_jax.data.own.options import OwnOptions


def write_description(
    place: str, options: OwnOptions, *, overwrite: bool = False
) -> tuple[Path, tuple[str, ...]]:
    """Looks at a table, an ``.npz`` file or a folder, and writes what its columns seem to be.

    Args:
      place: its path.
      options: what is known.
      overwrite: whether a ``dataset.toml`` that is there already is replaced.

    Returns:
      The ``dataset.toml``, beside the table or in the folder, and what may be wrong with it, a
      sentence each.

    Raises:
      ValueError: it cannot be read, or there is a ``dataset.toml`` already.
    """
    path = Path(place).expanduser()
    if is_function(place) and not path.exists():
        raise ValueError(f"{place} is a function, and describes its data itself")
    folder = path if path.is_dir() else path.parent
    toml = folder / TOML_NAME
    if toml.exists() and not overwrite:
        raise ValueError(f"{toml} is there already; --overwrite replaces it")
    source = locate(path, use_toml=False).place
    columns = read_columns(source)
    found = guess(columns, options)
    table = "" if source.is_dir() else source.name
    recipe = dataclasses.replace(found.recipe, table=table)
    toml.write_text(recipe_text(recipe, columns, found.doubts), encoding="utf-8")
    return toml, found.doubts
