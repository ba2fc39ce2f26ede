"""What columns look like: a guess at label, parts, groups and modalities, and its doubts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from masam_jax.core.specs import unknown
from masam_jax.data.own.columns import Columns, first_missing, is_number, is_one_hot, is_text
from masam_jax.data.own.options import OwnOptions
from masam_jax.data.own.parts import part_names
from masam_jax.data.own.recipe import RANDOM, Ingredients, Recipe, label_columns
from masam_jax.data.own.words import kind_of_text

LABELS = ("label", "labels", "y", "target", "class")
"""Names of columns that are taken for the label."""
_SPLITS = ("split", "part", "partition", "subset", "fold")
_GROUPS = ("group", "groups")
_PROBABLY_GROUPS = ("patient", "subject", "speaker", "participant", "user", "session", "site")
_KEYS = ("key", "id")
_NOT_FEATURES = ("unnamed: 0", "index", "row")
_PRESENT, _MASK, _FEATURES = "present_", "mask_", "x_"
_SOUND = re.compile(r"audio|mel|sound|spec|speech|voice", re.IGNORECASE)
_NUMBERED = re.compile(r"(?P<name>.*?[^\W\d])[_\-. ]?\d+")
# Of modality names, what `MultimodalData` keeps for itself.
_RESERVED = "other"


class Guess(NamedTuple):
    """What columns probably are.

    Attributes:
      recipe: how they become a data set.
      doubts: what may be wrong with it, a sentence each.
    """

    recipe: Recipe
    doubts: tuple[str, ...]


def guess(columns: Columns, options: OwnOptions) -> Guess:
    """Guesses what columns are, by their names and values.

    Args:
      columns: of a file.
      options: what is known.

    Raises:
      ValueError: no column can be the label, or none is left to learn from.
    """
    doubts: list[str] = []
    label = _label(columns, options)
    split = options.split or _split(columns, label)
    group = options.group or _first(columns, _GROUPS, label)
    key = options.key or _key(columns, label)
    # Parts that are drawn all the same are no feature.
    named = _split(columns, label) if split == RANDOM else split
    taken = {*label, named, group, key}
    rest = [name for name in columns.arrays if name not in taken]
    with_x = [name for name in rest if name.lower().startswith(_FEATURES)]
    if with_x and any(columns.arrays[name].ndim > 1 for name in with_x):
        # Arrays that say so themselves.
        doubts += [f"{name}: not used; features begin with x_" for name in _others(rest, with_x)]
        rest = with_x
    doubts += [f"{name}: not used; it {why}" for name, why in columns.left_out.items()]
    about_rows = {name: why for name in rest if (why := _about_rows(columns, name))}
    doubts += [f"{name}: not used; {why}" for name, why in about_rows.items()]
    rest = [name for name in rest if name not in about_rows]
    modalities = _modalities(columns, rest, doubts)
    if not modalities:
        raise ValueError(
            f"{columns.source}: no {columns.noun} is left to learn from; it has"
            f" {', '.join(columns.arrays)}"
        )
    if len(modalities) == 1:
        doubts.append(f"there is one modality alone, {next(iter(modalities))}")
    classes = columns.class_names.get(label[0])
    one_hot = len(label) == 1 and is_one_hot(columns.arrays[label[0]])
    if one_hot and options.task != "regression":
        doubts.append(f"{label[0]}: every row has a single 1; taken for classes, not for labels")
    recipe = Recipe(label, modalities, split=split, group=group, key=key, classes=classes)
    return Guess(recipe.with_options(options), tuple(doubts))


def _label(columns: Columns, options: OwnOptions) -> tuple[str, ...]:
    if options.label is not None:
        label = label_columns(options.label)
        for name in label:
            if name not in columns.arrays:
                raise ValueError(f"{columns.source}: {unknown(columns.noun, name, columns.arrays)}")
        return label
    found = _first(columns, LABELS, ())
    if found is None:
        listed, noun = ", ".join(list(columns.arrays)[:12]), columns.noun
        raise ValueError(
            f"{columns.source}: no {noun} is called {', '.join(LABELS)}: say which has the"
            f" classes, as in PATH:label={noun.upper()} ({noun}s: {listed}"
            f"{', …' if len(columns.arrays) > 12 else ''})"
        )
    return (found,)


def _first(columns: Columns, names: Iterable[str], not_these: Sequence[str]) -> str | None:
    lowered = {name.lower(): name for name in columns.arrays if name not in not_these}
    return next((lowered[name] for name in names if name in lowered), None)


def _split(columns: Columns, label: Sequence[str]) -> str | None:
    """A column of that name whose values are names of parts; numbers need a ``fold``."""
    for name in _SPLITS:
        found = _first(columns, (name,), label)
        if found is not None and part_names(columns.arrays[found]) is not None:
            return found
    return None


def _key(columns: Columns, label: Sequence[str]) -> str | None:
    found = _first(columns, _KEYS, label)
    if found is None or columns.arrays[found].ndim > 1:
        return None
    values = columns.arrays[found]
    if first_missing(values) is not None or len(set(values.tolist())) < len(values):
        return None
    return found


def _about_rows(columns: Columns, name: str) -> str:
    """Why a column says something of a row itself, and is no feature; empty for a feature."""
    if columns.arrays[name].ndim > 1:
        return ""
    if name.lower() in _SPLITS:
        return f"it seems to number folds, and split={name},fold=0 tests on the first"
    if name.lower() in _KEYS:
        return "it seems to name rows, but not each by another name"
    if set(re.split(r"[_\-. ]", name.lower())) & set(_PROBABLY_GROUPS):
        return f"it seems to say whose row it is, and group={name} splits by it"
    return ""


def _others(names: Sequence[str], used: Sequence[str]) -> list[str]:
    return [n for n in names if n not in used and not n.lower().startswith((_PRESENT, _MASK))]


def _modalities(
    columns: Columns, names: Sequence[str], doubts: list[str]
) -> dict[str, Ingredients]:
    found: dict[str, Ingredients] = {}
    numbers, categories = [], []
    for name in names:
        lowered = name.lower()
        if lowered.startswith((_PRESENT, _MASK)) or lowered in _NOT_FEATURES:
            continue
        values = columns.arrays[name]
        if values.ndim == 1 and is_number(values):
            numbers.append(name)
            continue
        each = _ingredients(columns, name, doubts)
        if each is not None and each.kind == "category":
            categories.append(name)
        elif each is not None:
            found[_modality_name(name, found)] = each
    if categories:
        name = categories[0] if len(categories) == 1 else "categories"
        found[_modality_name(name, found)] = Ingredients("category", tuple(categories))
    for name, group in _grouped(numbers).items():
        found[_modality_name(name, found)] = Ingredients("vector", tuple(group))
    return found


def _modality_name(column: str, taken: Iterable[str]) -> str:
    name = column[len(_FEATURES) :] if column.lower().startswith(_FEATURES) else column
    name = name.replace("/", "_") or column
    return f"{name}_columns" if name == _RESERVED or name in taken else name


def _grouped(names: Sequence[str]) -> dict[str, list[str]]:
    """Columns of numbers by the beginning of their names; those without others like them together.

    Examples:
      >>> _grouped(["sensor_0", "sensor_1", "face_x", "face_y", "age"])
      {'sensor': ['sensor_0', 'sensor_1'], 'face': ['face_x', 'face_y'], 'numbers': ['age']}
    """
    found: dict[str, list[str]] = {}
    by_name = {name: _NUMBERED.fullmatch(name) for name in names}
    numbered = [match["name"] for match in by_name.values() if match]
    first = {name: re.split(r"[_\-. ]", name)[0] for name in names}
    counts = {word: list(first.values()).count(word) for word in first.values()}
    for name, match in by_name.items():
        if match and numbered.count(match["name"]) > 1:
            group = match["name"]
        elif counts[first[name]] > 1 and first[name] != name:
            group = first[name]
        else:
            group = "numbers"
        found.setdefault(group, []).append(name)
    return found


def _ingredients(columns: Columns, name: str, doubts: list[str]) -> Ingredients | None:
    values = columns.arrays[name]
    if is_number(values):
        return _of_array(columns, name, values, doubts)
    if is_text(values):
        return kind_of_text(columns, name, values, doubts)
    first = next((value for value in values if value is not None), None)
    if isinstance(first, bytes):
        return Ingredients("image" if _is_image(first) else "audio", (name,))
    if isinstance(first, np.ndarray | list | tuple):
        sides = np.ndim(first)
        if sides == 1 and is_number(np.asarray(first)):
            # Rows of different length.
            doubts.append(f"{name}: rows differ in length; taken for sequences of one number")
            return Ingredients("sequence", (name,))
        if sides in (2, 3) and is_number(np.asarray(first)):
            kind = "image" if np.asarray(first).dtype == np.uint8 else "sequence"
            return Ingredients(kind, (name,))
    doubts.append(f"{name}: not used; it holds {type(first).__name__}")
    return None


def _of_array(columns: Columns, name: str, values: np.ndarray, doubts: list[str]) -> Ingredients:
    bare = name[len(_FEATURES) :] if name.lower().startswith(_FEATURES) else name
    mask = f"{_MASK}{bare}"
    settings = {"mask": mask} if mask in columns.arrays else {}
    if values.ndim == 2:
        if settings and values.dtype.kind in "iu":
            return Ingredients("tokens", (name,), settings)
        return Ingredients("vector", (name,))
    if values.ndim == 3 and not settings:
        kind = "sequence"
        if values.dtype == np.uint8:
            kind = "image"
        elif _SOUND.search(bare):
            kind = "spectrogram"
        others = ", ".join(k for k in ("sequence", "image", "spectrogram") if k != kind)
        shape = " × ".join(map(str, values.shape[1:]))
        doubts.append(f"{name}: {shape}, taken for {kind}; it could be {others}")
        return Ingredients(kind, (name,))
    kind = {3: "sequence", 4: "image", 5: "frames"}.get(values.ndim, "vector")
    return Ingredients(kind, (name,), settings if kind == "sequence" else {})


def _is_image(content: bytes) -> bool:
    return content.startswith((b"\x89PNG", b"\xff\xd8", b"GIF8", b"BM", b"II*\0", b"MM\0*")) or (
        content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    )
