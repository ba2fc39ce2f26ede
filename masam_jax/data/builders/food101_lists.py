"""The lists that say which image of UPMC Food-101 has which title and shows which dish."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from masam_jax.data.builders.source import need

_CSV = {"train": Path("texts/train_titles.csv"), "test": Path("texts/test_titles.csv")}
_JSON_SPLITS = {"train": "train", "dev": "validation", "val": "validation", "test": "test"}
_ENDINGS = (".json", ".jsonl")


class ListedTitle(NamedTuple):
    """A line of a list.

    Attributes:
      key: ``list/image``.
      split: ``"train"``, ``"validation"`` or ``"test"``.
      label: class.
      image: where the image is expected.
      features: where its title's BERT features are expected.
      title: the page's title; empty where tokens are given.
      tokens: the title's tokens, where the list has them.
      where: file and line, for errors.
    """

    key: str
    split: str
    label: int
    image: Path
    features: Path
    title: str
    tokens: tuple[int, ...] | None
    where: str


def read_lists(source: Path, classes: Mapping[str, int]) -> tuple[list[ListedTitle], list[Path]]:
    """All lines, those of a split by key, and the files that they are from.

    Args:
      source: the release's directory.
      classes: numbers of the classes by name.

    Raises:
      ValueError: there are no lists, or two kinds of them, or a line is not as expected.
    """
    lists = {
        path: name
        for name in _JSON_SPLITS
        for path in (source / f"{name}{ending}" for ending in _ENDINGS)
        if path.exists()
    }
    has_csv = any((source / path).exists() for path in _CSV.values())
    if has_csv and lists:
        raise ValueError(
            f"{source} holds texts/ and {next(iter(lists)).name}; leave the lists that are meant."
        )
    rows: list[ListedTitle] = []
    if lists:
        for name in ("train", "test"):
            if name not in lists.values():
                raise ValueError(f"{source} holds no {name}.json; it belongs to the other lists.")
        for path, name in lists.items():
            rows += [
                _json_row(source, name, entry, where, classes) for entry, where in _entries(path)
            ]
    else:
        for name, part in _CSV.items():
            path = need(source / part, f"a list of titles, or {name}.json in {source},")
            lists[path] = name
            rows += _csv_rows(source, name, path, classes)
    order = ["train", "validation", "test"]
    rows.sort(key=lambda row: (order.index(row.split), row.key))
    return rows, list(lists)


def _csv_rows(
    source: Path, name: str, path: Path, classes: Mapping[str, int]
) -> Iterator[ListedTitle]:
    # Titles come from all over the web; bytes that are no UTF-8 are marked and later left out.
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file)
        try:
            for number, line in enumerate(reader):
                where = f"{path}:{reader.line_num}"
                if len(line) != 3:
                    raise ValueError(
                        f"{where} has {len(line)} columns; image, title, class needed."
                    )
                image, title, kind = (cell.strip() for cell in line)
                # Some copies have a line of column names.
                if number == 0 and kind not in classes and "." not in image:
                    continue
                label = _label(kind, where, classes)
                if not image or Path(image).name != image:
                    raise ValueError(f"{where} has the image {image!r}; a file's name is needed.")
                place = source / "images" / name / kind / image
                yield ListedTitle(
                    key=f"{name}/{place.stem}",
                    split=name,
                    label=label,
                    image=place,
                    features=source / "features" / name / f"{place.stem}.npy",
                    title=title,
                    tokens=None,
                    where=where,
                )
        except csv.Error as error:
            raise ValueError(f"{path}:{reader.line_num}: {error}") from error


def _entries(path: Path) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Entries of a list, each with its place."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".jsonl":
            lines = [line for line in text.split("\n") if line.strip()]
            entries = [json.loads(line) for line in lines]
        else:
            entries = json.loads(text)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(entries, list):
        raise ValueError(f"{path} holds a {type(entries).__name__}; a list of entries is needed.")
    for number, entry in enumerate(entries, 1):
        where = f"{path}: entry {number}"
        if not isinstance(entry, dict):
            raise ValueError(f"{where} is a {type(entry).__name__}; an object is needed.")
        yield entry, where


def _json_row(
    source: Path, name: str, entry: Mapping[str, Any], where: str, classes: Mapping[str, int]
) -> ListedTitle:
    image = entry.get("img_path", entry.get("img"))
    if not isinstance(image, str) or not image or Path(image).is_absolute() or ".." in image:
        raise ValueError(f"{where} has the image {image!r}; a path below {source} is needed.")
    title, tokens = entry.get("text"), entry.get("text_tokens")
    if tokens is not None:
        is_list = isinstance(tokens, list)
        if not is_list or not all(type(token) is int and token >= 0 for token in tokens):
            raise ValueError(f"{where} has text_tokens that are no list of integers >= 0.")
        # Zeros at the end are padding.
        while tokens and tokens[-1] == 0:
            tokens = tokens[:-1]
    elif not isinstance(title, str):
        raise ValueError(f"{where} has neither text_tokens nor a text.")
    label = _label(entry.get("label"), where, classes)
    place = source / image
    return ListedTitle(
        key=f"{name}/{entry.get('id', place.stem)}",
        split=_JSON_SPLITS[name],
        label=label,
        image=place,
        features=source / "features" / name / f"{place.stem}.npy",
        title="" if tokens is not None else str(title),
        tokens=None if tokens is None else tuple(tokens),
        where=where,
    )


def _label(value: Any, where: str, classes: Mapping[str, int]) -> int:
    if isinstance(value, str) and value in classes:
        return classes[value]
    if type(value) is int and 0 <= value < len(classes):
        return value
    raise ValueError(
        f"{where} has the class {value!r}; one of the {len(classes)} dishes, or its number, is"
        " needed."
    )
