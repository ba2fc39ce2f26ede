"""The tables of titles of UPMC Food-101, whose quotes do not obey the rules of CSV."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp")
"""Of images, in small letters."""


class TitleLine(NamedTuple):
    """An image of the table.

    Attributes:
      image: name of its file.
      title: of its page.
      kind: its class.
      line: where it is, from 1.
    """

    image: str
    title: str
    kind: str
    line: int


def read_titles(path: Path, classes: Collection[str]) -> tuple[list[TitleLine], list[str]]:
    """One image a line: up to the first comma its name, after the last one its class.

    Quotes around a title go, and two quotes in it become one; any other quote is a part of it: an
    inch mark, or one that is never closed. A quoted title may span lines, none of which is an
    image's own.

    Args:
      path: the table, with or without a line of column names.
      classes: names of the classes.

    Returns:
      The images, and warnings of titles that span lines or have a quote that is never closed.

    Raises:
      ValueError: a line is none of an image; the line where a quote opens is named.
    """
    # Titles come from all over the web; bytes that are no UTF-8 are marked and later left out.
    lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    rows: list[TitleLine] = []
    spanning, unclosed = [], []
    at = 0
    while at < len(lines):
        first = at + 1
        cells = _cells(lines[at])
        at += 1
        if not lines[first - 1].strip():
            continue
        if cells is None or not _is_row(cells, classes):
            # Some copies have a line of column names.
            if cells is not None and first == 1 and "." not in cells[0]:
                continue
            at = _end_of_quote(path, lines, first, classes) if _opens(lines[first - 1]) else at
            cells = _cells(" ".join(lines[first - 1 : at]))
            if cells is None:
                found = lines[first - 1].count(",") + 1
                raise ValueError(f"{path}:{first} has {found} columns; image, title, class needed.")
            if at > first:
                spanning.append(first)
        image, title, kind = cells
        if title.startswith('"') and not _is_quoted(title) and title.count('"') % 2:
            unclosed.append(first)
        rows.append(TitleLine(_plain(image), _plain(title), _plain(kind), first))
    warnings = []
    for places, what in (
        (spanning, "titles span lines, which were joined"),
        (unclosed, "titles open a quote that is never closed; it is taken for a part of them"),
    ):
        if places:
            warnings.append(f"{path}: {len(places)} {what}; the first is in line {places[0]}.")
    return rows, warnings


def _end_of_quote(path: Path, lines: list[str], first: int, classes: Collection[str]) -> int:
    """Number of the line in which the quote that opens in line ``first`` closes."""
    for last in range(first + 1, len(lines) + 1):
        own = _cells(lines[last - 1])
        if own is not None and _is_row(own, classes):
            break
        joined = _cells(" ".join(lines[first - 1 : last]))
        if joined is not None and _is_row(joined, classes) and _is_quoted(joined[1]):
            return last
    raise ValueError(
        f"{path}:{first} opens a quote that no line before the next image closes:"
        f" {lines[first - 1][:80]!r}; image, title, class in one line are needed."
    )


def _cells(line: str) -> tuple[str, str, str] | None:
    image, comma, rest = line.partition(",")
    title, second, kind = rest.rpartition(",")
    return (image.strip(), title.strip(), kind.strip()) if comma and second else None


def _is_row(cells: tuple[str, str, str], classes: Collection[str]) -> bool:
    image, _, kind = cells
    return _plain(kind) in classes and Path(_plain(image)).suffix.lower() in IMAGE_ENDINGS


def _opens(line: str) -> bool:
    image, _, rest = line.partition(",")
    return Path(_plain(image)).suffix.lower() in IMAGE_ENDINGS and rest.lstrip().startswith('"')


def _is_quoted(cell: str) -> bool:
    return len(cell) > 1 and cell[0] == cell[-1] == '"'


def _plain(cell: str) -> str:
    text = cell[1:-1].replace('""', '"') if _is_quoted(cell) else cell
    return text.removeprefix('"').strip() if text.startswith('"') and text.count('"') == 1 else text
