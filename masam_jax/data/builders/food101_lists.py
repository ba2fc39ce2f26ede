"""The lists that say which image of UPMC Food-101 has which title and shows which dish."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from masam_jax.data.builders.food101_titles import IMAGE_ENDINGS, TitleLine, read_titles
from masam_jax.data.builders.source import need

_CSV = {"train": Path("texts/train_titles.csv"), "test": Path("texts/test_titles.csv")}
_JSON_SPLITS = {"train": "train", "dev": "validation", "val": "validation", "test": "test"}
_ENDINGS = (".json", ".jsonl")
_BY_NAME = "split.json"
_FEATURES = ("features", "bert_features")


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


class Lists(NamedTuple):
    """What the lists say.

    Attributes:
      rows: all lines, those of a split by key.
      files: that they are from.
      warnings: what is odd about them, a sentence each.
    """

    rows: list[ListedTitle]
    files: list[Path]
    warnings: tuple[str, ...]


def features_folder(source: Path) -> Path:
    """Where BERT's features are, or would be: beside the images, or beside the lists."""
    places = [folder / name for folder in (source, _lists_folder(source)) for name in _FEATURES]
    return next((place for place in places if place.is_dir()), places[0])


def _json_lists(folder: Path) -> dict[Path, str]:
    """Lists in JSON -> their names, train first."""
    places = {folder / f"{name}{ending}": name for name in _JSON_SPLITS for ending in _ENDINGS}
    return {path: name for path, name in places.items() if path.exists()}


def _lists_folder(source: Path) -> Path:
    """The folder with lists in JSON: the source, or one folder of it, such as those of releases.

    Raises:
      ValueError: several folders have them.
    """
    if _json_lists(source) or any((source / path).exists() for path in _CSV.values()):
        return source
    folders = [path for path in sorted(source.iterdir()) if path.is_dir() and _json_lists(path)]
    if len(folders) > 1:
        raise ValueError(
            f"{source} has lists in {' and '.join(path.name for path in folders)}; move those that"
            f" are meant to {source}."
        )
    return folders[0] if folders else source


def read_lists(source: Path, classes: Mapping[str, int]) -> Lists:
    """All lines of the lists, train first.

    Args:
      source: the release's directory.
      classes: numbers of the classes by name.

    Raises:
      ValueError: there are no lists, or two kinds of them, or a line is not as expected.
    """
    folder, features = _lists_folder(source), features_folder(source)
    lists = _json_lists(folder)
    has_csv = any((source / path).exists() for path in _CSV.values())
    if has_csv and lists:
        raise ValueError(
            f"{source} holds texts/ and {next(iter(lists)).name}; leave the lists that are meant."
        )
    rows: list[ListedTitle] = []
    warnings: list[str] = []
    by_name = folder / _BY_NAME
    if lists:
        for name in ("train", "test"):
            if name not in lists.values():
                raise ValueError(f"{folder} holds no {name}.json; it belongs to the other lists.")
        for path, name in lists.items():
            rows += [
                _json_row(source, features, name, entry, where, classes)
                for entry, where in _entries(path)
            ]
        if by_name.exists():
            warnings.append(f"{by_name} is ignored: {next(iter(lists)).name} says what is what.")
    else:
        for name, part in _CSV.items():
            path = need(
                source / part, f"a list of titles, or {name}.json in {source} or one folder of it,"
            )
            lists[path] = name
            found, odd = read_titles(path, classes)
            rows += [_csv_row(source, features, name, path, line, classes) for line in found]
            warnings += odd
        if by_name.exists():
            rows, odd = split_by_name(by_name, rows)
            lists[by_name] = ""
            warnings += odd
    order = ["train", "validation", "test"]
    rows.sort(key=lambda row: (order.index(row.split), row.key))
    return Lists(rows, list(lists), tuple(warnings))


def split_by_name(path: Path, rows: Sequence[ListedTitle]) -> tuple[list[ListedTitle], list[str]]:
    """Lines in the parts that a list of names puts them in; those that it does not name go.

    Args:
      path: ``{"train": [image, ...], "val": [...], "test": [...]}``, in JSON; images with or
        without folders and endings.
      rows: of the tables of titles.

    Returns:
      The lines, and warnings of names without a line, and the reverse.

    Raises:
      ValueError: the file is no such list, or names an image twice.
    """
    try:
        parts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(parts, dict) or not {"train", "test"} <= set(parts) <= set(_JSON_SPLITS):
        raise ValueError(f"{path} must hold lists named train, test and val (or dev), of images.")
    split_of: dict[str, str] = {}
    for part, names in parts.items():
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{path}: {part} is no list of names of images.")
        for name in names:
            stem = _stem(name)
            if stem in split_of:
                raise ValueError(f"{path} names {stem!r} twice.")
            split_of[stem] = _JSON_SPLITS[part]
    known = [row for row in rows if row.image.stem in split_of]
    without = set(split_of) - {row.image.stem for row in known}
    warnings = []
    if len(known) < len(rows):
        first = next(row.key for row in rows if row.image.stem not in split_of)
        warnings.append(
            f"{len(rows) - len(known)} images of texts/ are in no list of {path}, {first} for one;"
            " they are left out."
        )
    if without:
        warnings.append(
            f"{len(without)} images of {path} have no title in texts/, {min(without)} for one."
        )
    return [row._replace(split=split_of[row.image.stem]) for row in known], warnings


def _csv_row(
    source: Path,
    features: Path,
    name: str,
    path: Path,
    line: TitleLine,
    classes: Mapping[str, int],
) -> ListedTitle:
    where = f"{path}:{line.line}"
    label = _label(line.kind, where, classes)
    if not line.image or Path(line.image).name != line.image:
        raise ValueError(f"{where} has the image {line.image!r}; a file's name is needed.")
    place = source / "images" / name / line.kind / line.image
    return ListedTitle(
        key=f"{name}/{place.stem}",
        split=name,
        label=label,
        image=place,
        features=features / name / f"{place.stem}.npy",
        title=line.title,
        tokens=None,
        where=where,
    )


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
    source: Path,
    features: Path,
    name: str,
    entry: Mapping[str, Any],
    where: str,
    classes: Mapping[str, int],
) -> ListedTitle:
    image = entry.get("img_path", entry.get("img"))
    if not isinstance(image, str) or not image or ".." in image:
        raise ValueError(f"{where} has the image {image!r}; a path below {source} is needed.")
    title, tokens = entry.get("text"), entry.get("text_tokens")
    if isinstance(tokens, str):
        title, tokens = tokens, None
    elif isinstance(tokens, list) and tokens and all(type(word) is str for word in tokens):
        # Words of the title, or of the ingredients: cut as titles are.
        title, tokens = " ".join(tokens), None
    if tokens is not None:
        is_list = isinstance(tokens, list)
        if not is_list or not all(type(token) is int and token >= 0 for token in tokens):
            raise ValueError(
                f"{where} has text_tokens that are no list of integers >= 0, nor of words."
            )
        # Zeros at the end are padding.
        while tokens and tokens[-1] == 0:
            tokens = tokens[:-1]
    elif not isinstance(title, str):
        raise ValueError(f"{where} has neither text_tokens nor a text.")
    label = _label(entry.get("label"), where, classes)
    place = _below(source, image)
    key = str(entry.get("id", place.stem))
    return ListedTitle(
        key=f"{name}/{key}",
        split=_JSON_SPLITS[name],
        label=label,
        image=place,
        features=_features(features, name, key, place.stem, entry.get("bert_feature_path")),
        title="" if tokens is not None else str(title),
        tokens=None if tokens is None else tuple(tokens),
        where=where,
    )


def _below(source: Path, image: str) -> Path:
    """An image's place; an absolute path is another machine's, and its end counts."""
    parts = PurePosixPath(image.replace("\\", "/")).parts
    if not image.startswith("/") and not PureWindowsPath(image).drive:
        return source / image
    ends = [source.joinpath(*parts[begin:]) for begin in range(1, len(parts))]
    start = parts.index("images") if "images" in parts else len(parts) - 1
    return next((end for end in ends if end.is_file()), source.joinpath(*parts[start:]))


def _features(folder: Path, name: str, key: str, stem: str, given: Any) -> Path:
    # Lists name their parts "val" or "dev"; features are filed by the entry's id, or the image.
    names = [file for file in (given, f"{name}/{key}.npy", f"{name}/{stem}.npy") if file]
    # A list may also begin with the folder's own name.
    places = [
        root / str(file)
        for file in names
        if ".." not in str(file)
        for root in ((folder, folder.parent) if file == given else (folder,))
    ]
    return next((place for place in places if place.is_file()), places[-1])


def _stem(name: str) -> str:
    last = name.replace("\\", "/").rpartition("/")[2]
    return Path(last).stem if Path(last).suffix.lower() in IMAGE_ENDINGS else last


def _label(value: Any, where: str, classes: Mapping[str, int]) -> int:
    if isinstance(value, str) and value in classes:
        return classes[value]
    if type(value) is int and 0 <= value < len(classes):
        return value
    raise ValueError(
        f"{where} has the class {value!r}; one of the {len(classes)} dishes, or its number, is"
        " needed."
    )
