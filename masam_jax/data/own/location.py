"""Where data of one's own are, and how command lines name them: ``PLACE[:OPTION=VALUE,...]``."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from masam_jax.core.user_code import is_function

TABLES = (".csv", ".tsv", ".parquet")
"""Endings of tables that are read."""
TOML_NAME = "dataset.toml"
"""File that says what the columns of the data beside it are."""
_FILES = (*TABLES, ".npz", ".toml")
# A place may hold colons; what follows the last is options if it looks so.
_PLACE = re.compile(r"(?P<place>.+?)(?::(?P<options>\s*[A-Za-z_]+\s*=.*|))?", re.DOTALL)


def cut_place(spec: str) -> tuple[str, str | None]:
    """The place, and what follows it; None where nothing does.

    Examples:
      >>> cut_place("data/table.csv:label=species,test=0.2")
      ('data/table.csv', 'label=species,test=0.2')
      >>> cut_place("my_project.data:load")
      ('my_project.data:load', None)
    """
    found = _PLACE.fullmatch(spec.strip())
    return (found["place"], found["options"]) if found else (spec, None)


def is_own_data(spec: str, known: Collection[str]) -> bool:
    """Whether a specification names a place, rather than a data set.

    Args:
      spec: ``NAME[:OPTION=VALUE,...]`` or ``PLACE[:OPTION=VALUE,...]``.
      known: names of data sets, which come before files of that name.

    Examples:
      >>> [is_own_data(spec, ["mfeat"]) for spec in ("mfeat", "mfaet", "./mfeat", "mine.csv")]
      [False, False, True, True]
    """
    place, _ = cut_place(spec)
    if not place or place.partition(":")[0] in known:
        return False
    is_path = "/" in place or "\\" in place or place.startswith(("~", "."))
    is_path = is_path or Path(place).suffix.lower() in _FILES or Path(place).exists()
    return is_path or is_function(place)


def absolute(place: str) -> str:
    """The place as it is called from any directory."""
    return place if is_function(place) else str(Path(place).expanduser().absolute())
