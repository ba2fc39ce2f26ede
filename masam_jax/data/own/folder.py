"""Which file of a folder is read, and which ``dataset.toml`` says what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from masam_jax.data.own.columns import Columns
from masam_jax.data.own.dataset_toml import read_recipe
from masam_jax.data.own.hugging_face import is_saved_dataset, read_saved_dataset
from masam_jax.data.own.location import TABLES, TOML_NAME
from masam_jax.data.own.npz import read_npz
from masam_jax.data.own.tables import read_table
from masam_jax.data.own.tfds import is_prepared_builder, read_prepared_builder

_READ = (*TABLES, ".npz")


class Source(NamedTuple):
    """Where columns are read from.

    Attributes:
      place: a file, or a folder that Hugging Face datasets or TFDS wrote.
      toml: what says what they are; None where nothing does.
    """

    place: Path
    toml: Path | None


def locate(path: Path, use_toml: bool = True) -> Source:
    """Finds what is read.

    Args:
      path: a table or ``.npz`` file, with or without a ``dataset.toml`` beside it that is about it;
        a ``dataset.toml``; a folder that has one, or a single table or ``.npz`` file; or one that
        Hugging Face datasets or TFDS wrote.
      use_toml: whether a ``dataset.toml`` counts that ``path`` does not name.

    Raises:
      ValueError: there is nothing, or nothing that is read, or several tables and no
        ``dataset.toml``.
    """
    if not path.exists():
        raise ValueError(f"{path}: there is no such file or folder")
    if path.is_dir():
        return _in_folder(path, use_toml)
    if path.suffix.lower() == ".toml":
        return _of_toml(path)
    if path.suffix.lower() not in _READ:
        raise ValueError(f"{path} is of no kind that is read; {', '.join(_READ)} are")
    beside = path.parent / TOML_NAME
    if use_toml and beside.is_file() and read_recipe(beside).table == path.name:
        return Source(path, beside)
    return Source(path, None)


def read_columns(place: Path) -> Columns:
    """What a file or folder holds.

    Raises:
      ValueError: it is damaged, or has no row.
      ModuleNotFoundError: the package that reads it is missing.
    """
    if place.is_dir():
        saved = is_saved_dataset(place)
        return read_saved_dataset(place) if saved else read_prepared_builder(place)
    return read_npz(place) if place.suffix.lower() == ".npz" else read_table(place)


def _of_toml(path: Path) -> Source:
    table = read_recipe(path).table
    if not table and _is_written_by_others(path.parent):
        return Source(path.parent, path)
    if not table:
        raise ValueError(f'{path}: table is missing; it names the file, as in table = "mine.csv"')
    place = path.parent / table
    if not place.is_file() or place.suffix.lower() not in _READ:
        raise ValueError(f"{path}: table {table!r}: no {', '.join(_READ)} file of that name")
    return Source(place, path)


def _is_written_by_others(folder: Path) -> bool:
    return is_saved_dataset(folder) or is_prepared_builder(folder)


def _in_folder(folder: Path, use_toml: bool) -> Source:
    if use_toml and (folder / TOML_NAME).is_file():
        return _of_toml(folder / TOML_NAME)
    if _is_written_by_others(folder):
        return Source(folder, None)
    found = sorted(each for each in folder.iterdir() if each.suffix.lower() in _READ)
    if len(found) == 1:
        return Source(found[0], None)
    if found:
        names = ", ".join(each.name for each in found[:6]) + (", …" if len(found) > 6 else "")
        raise ValueError(
            f"{folder} holds {names}: name one of them, or write a {TOML_NAME} that does"
        )
    raise ValueError(
        f"{folder} holds nothing that is read: a {TOML_NAME}, a {', '.join(_READ)} file, or what"
        " Hugging Face datasets or TFDS wrote is needed"
    )
