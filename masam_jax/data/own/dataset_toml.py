"""``dataset.toml``: what the columns of the data beside it are; written, read and checked."""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from masam_jax.core.specs import unknown
from masam_jax.data.own.columns import Columns
from masam_jax.data.own.options import OwnOptions
from masam_jax.data.own.recipe import Ingredients, LearningTask, Recipe

SETTINGS: dict[str, dict[str, type]] = {
    "array": {"length": int},
    "audio": {"rate": int, "seconds": float},
    "category": {},
    "frames": {},
    "image": {"size": int},
    "sequence": {"length": int, "mask": str},
    "spectrogram": {},
    "text": {"length": int, "vocabulary": int},
    "tokens": {"mask": str},
    "vector": {},
    "video": {"frames": int, "size": int},
}
"""Kind of columns -> what else it may be told, and of what type."""

# Kinds of which several columns are side by side.
_SEVERAL = ("category", "vector")
_TEXTS = ("table", "split", "group", "key")
_SIZES = ("test", "validation", "folds", "fold")
_KNOWN = ("table", "label", "task", "classes", "split", "group", "key", "parts", "modalities")


def read_recipe(path: Path) -> Recipe:
    """What a ``dataset.toml`` says; patterns of columns as they are written.

    Raises:
      ValueError: it is no TOML, or says what there is not; the message names file and entry.
    """
    try:
        content = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"{path} is no TOML: {error}") from error
    _check_names(path, "entry", content, _KNOWN)
    for name in _TEXTS:
        _check_type(path, name, content.get(name, ""), str)
    for name in ("label", "modalities"):
        if not content.get(name):
            raise ValueError(f"{path}: {name} is missing")
    task = content.get("task", "classification")
    if task not in get_args(LearningTask):
        raise ValueError(
            f"{path}: task is {task!r}; {' or '.join(get_args(LearningTask))} is needed"
        )
    parts = content.get("parts", {})
    _check_type(path, "parts", parts, dict)
    _check_names(path, "entry of [parts]", parts, _SIZES)
    try:
        sizes = OwnOptions(**parts)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: [parts]: {error}") from error
    _check_type(path, "modalities", content["modalities"], dict)
    return Recipe(
        label=_texts(path, "label", content["label"]),
        modalities={m: _ingredients(path, m, each) for m, each in content["modalities"].items()},
        classes=_texts(path, "classes", content["classes"]) if "classes" in content else None,
        task=task,
        **{name: content[name] for name in _TEXTS if name in content},
        **{name: getattr(sizes, name) for name in _SIZES},
    )


def with_columns(recipe: Recipe, columns: Columns, path: Path) -> Recipe:
    """The recipe with the columns that its patterns stand for, in their order.

    Args:
      recipe: from ``path``.
      columns: of the data.
      path: the ``dataset.toml``, for messages.

    Raises:
      ValueError: a pattern stands for no column.
    """

    def expanded(modality: str, group: Ingredients) -> Ingredients:
        found: list[str] = []
        for pattern in group.columns:
            names = [pattern] if pattern in columns.arrays else _matches(pattern, columns.arrays)
            if not names:
                known = unknown("column", pattern, columns.arrays)
                raise ValueError(f"{path}: modality {modality!r}: {known}")
            found += [name for name in names if name not in found]
        if group.kind not in _SEVERAL and len(found) > 1:
            raise ValueError(
                f"{path}: modality {modality!r}: {len(found)} columns; of kind {group.kind!r} there"
                " is one"
            )
        return dataclasses.replace(group, columns=tuple(found))

    modalities = {m: expanded(m, group) for m, group in recipe.modalities.items()}
    return dataclasses.replace(recipe, modalities=modalities)


def recipe_text(recipe: Recipe, columns: Columns, doubts: Sequence[str]) -> str:
    """A ``dataset.toml`` that `read_recipe` reads as this recipe, of these columns."""
    lines = ["# What the columns are: written by masam datasets describe. Change what is wrong."]
    lines += [f"# Unsure: {doubt}." for doubt in doubts]
    if recipe.table:
        lines.append(f"table = {_toml(recipe.table)}")
    label = recipe.label[0] if len(recipe.label) == 1 else list(recipe.label)
    lines.append(f"label = {_toml(label)}")
    if recipe.task != "classification":
        lines.append(f"task = {_toml(recipe.task)}")
    if recipe.classes is not None:
        lines.append(f"classes = {_toml(list(recipe.classes))}")
    for name in ("split", "group", "key"):
        if (value := getattr(recipe, name)) is not None:
            lines.append(f"{name} = {_toml(value)}")
    sizes = {name: getattr(recipe, name) for name in _SIZES}
    if any(value is not None for value in sizes.values()):
        given = [f"{name} = {_toml(v)}" for name, v in sizes.items() if v is not None]
        lines += ["", "[parts]", *given]
    for m, group in recipe.modalities.items():
        written = _patterns(group.columns, columns.arrays)
        name = m if re.fullmatch(r"[A-Za-z0-9_-]+", m) else _toml(m)
        lines += ["", f"[modalities.{name}]", f"kind = {_toml(group.kind)}"]
        lines.append(
            f"column = {_toml(written[0])}"
            if len(written) == 1 and "*" not in written[0]
            else f"columns = {_toml(written)}"
        )
        lines += [f"{name} = {_toml(value)}" for name, value in group.settings.items()]
    return "\n".join(lines) + "\n"


def _matches(pattern: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def _patterns(columns: Sequence[str], names: Collection[str]) -> list[str]:
    """One pattern, where it stands for just these columns."""
    if len(columns) < 2:
        return list(columns)
    start = next(n for n in range(len(columns[0]), -1, -1) if _begin(columns, n))
    pattern = f"{columns[0][:start]}*"
    is_right = start > 0 and _matches(pattern, names) == list(columns)
    return [pattern] if is_right and not set("[]?*") & set(columns[0][:start]) else list(columns)


def _begin(columns: Sequence[str], length: int) -> bool:
    return all(name.startswith(columns[0][:length]) for name in columns)


def _ingredients(path: Path, modality: str, entry: Any) -> Ingredients:
    where = f"modality {modality!r}"
    _check_type(path, where, entry, dict)
    kind = entry.get("kind", "vector")
    if kind not in SETTINGS:
        raise ValueError(f"{path}: {where}: {unknown('kind', kind, SETTINGS)}")
    known = SETTINGS[kind]
    _check_names(path, f"entry of {where}", entry, ("kind", "column", "columns", *known))
    if ("column" in entry) == ("columns" in entry):
        raise ValueError(f"{path}: {where}: column or columns, one of them, is needed")
    columns = _texts(path, f"{where}: columns", entry.get("columns", entry.get("column")))
    settings = {name: entry[name] for name in known if name in entry}
    for name, value in settings.items():
        _check_setting(path, f"{where}: {name}", value, known[name])
    return Ingredients(kind, columns, settings)


def _check_names(path: Path, what: str, content: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in content:
        if name not in known:
            raise ValueError(f"{path}: {unknown(what, name, known)}")


def _check_type(path: Path, name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        wanted = "text" if kind is str else "a table"
        raise ValueError(f"{path}: {name} is {value!r}; {wanted} is needed")


def _check_setting(path: Path, name: str, value: Any, kind: type) -> None:
    if kind is str:
        _check_type(path, name, value, str)
        return
    kinds = (int,) if kind is int else (int, float)
    if type(value) not in kinds or not 0 < value < 2**31:
        wanted = "an integer >= 1" if kind is int else "a number above 0"
        raise ValueError(f"{path}: {name} is {value!r}; {wanted} is needed")


def _texts(path: Path, name: str, value: Any) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(x, str) for x in found):
        raise ValueError(f"{path}: {name} is {value!r}; text, or a list of texts, is needed")
    return tuple(found)


def _toml(value: Any) -> str:
    """JSON's strings, numbers and lists are TOML's."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
