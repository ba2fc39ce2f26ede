"""What columns of words look like: paths, categories, text; or numbers and a mistake."""

from __future__ import annotations

from pathlib import PurePath

import numpy as np

from masam_jax.data.own.columns import Columns
from masam_jax.data.own.recipe import Ingredients

# What a file's ending says of its kind.
_MEDIA = {
    "image": (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm"),
    "audio": (".wav", ".flac", ".ogg", ".mp3", ".m4a", ".aac"),
    "video": (".mp4", ".mkv", ".avi", ".mov", ".webm", ".flv", ".mpg"),
    "array": (".npy",),
}
# Different words in a column that is a category, not a text.
_MOST_CATEGORIES = 20
# Share of numbers from which a column's other words are mistakes.
_MOSTLY = 0.9


def kind_of_text(
    columns: Columns, name: str, values: np.ndarray, doubts: list[str]
) -> Ingredients | None:
    """Whether words are paths, classes of something, text, or names of rows.

    Args:
      columns: of a file.
      name: of one of them.
      values: what it holds: text, and None or nothing where it is missing.
      doubts: what is unsure is put there, a sentence each.

    Returns:
      The column as a modality; None where nothing is to be learned from it.

    Raises:
      ValueError: nearly all of the words are numbers; the message names the first that is none.
    """
    words = [str(value) for value in values if value]
    if not words:
        doubts.append(f"{name}: not used; it is empty")
        return None
    endings = {PurePath(word).suffix.lower() for word in words}
    for kind, known in _MEDIA.items():
        if endings <= set(known):
            return Ingredients(kind, (name,))
    _check_numbers(columns, name, values)
    different = len(set(words))
    with_spaces = sum(" " in word.strip() for word in words)
    if different == 1:
        doubts.append(f"{name}: not used; it is {words[0]!r} in every row")
        return None
    if with_spaces < len(words) / 2:
        if different <= _MOST_CATEGORIES and different < len(words):
            doubts.append(f"{name}: {different} different words, taken for a category, not a text")
            return Ingredients("category", (name,))
        is_key = different == len(values)
        hint = f"; key={name} keeps them with the predictions" if is_key else ""
        doubts.append(f"{name}: not used; its words look like names of rows{hint}")
        return None
    return Ingredients("text", (name,))


def _check_numbers(columns: Columns, name: str, values: np.ndarray) -> None:
    """Refuses the word that makes a column of numbers one of text."""
    words = {row: str(value) for row, value in enumerate(values) if value}
    odd = [row for row, word in words.items() if not _reads_as_number(word)]
    numbers = len(words) - len(odd)
    if odd and numbers >= _MOSTLY * len(words):
        raise ValueError(
            f"{columns.at(odd[0], name)}: {words[odd[0]][:40]!r} is no number, and"
            f" {numbers:,} of {len(words):,} values are"
        )


def _reads_as_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    # Python's, not a table's: 1_000.
    return "_" not in word
