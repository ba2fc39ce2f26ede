"""Tables as comma-separated text that a spreadsheet shows and does not run."""

import csv
import io
from collections.abc import Iterable
from typing import Any

# With these a cell begins that spreadsheets take for a formula; the wide ones are taken for them.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_text(lines: Iterable[Iterable[Any]]) -> str:
    """Lines of cells.

    Numbers are written as they are, also below zero. Text that would begin a formula gets an
    apostrophe before it, with which spreadsheets mark text.

    Examples:
      >>> print(csv_text([["name", "score"], ["=1+1", -0.5], ["-0.5", None]]), end="")
      name,score
      '=1+1,-0.5
      -0.5,
    """
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(map(_inert, lines))
    return stream.getvalue()


def _inert(line: Iterable[Any]) -> list[Any]:
    return [f"'{cell}" if isinstance(cell, str) and _is_formula(cell) else cell for cell in line]


def _is_formula(cell: str) -> bool:
    return cell.lstrip(" ").startswith(_FORMULA) and not _is_number(cell)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.isprintable()
