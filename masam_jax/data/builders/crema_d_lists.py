"""The lists of CREMA-D's clips, of which two draws are in use."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

_NAMES = {
    "train": ("train.csv", "train.txt", "my_train_cre.txt"),
    "test": ("test.csv", "test.txt", "my_test_cre.txt"),
}
# Words of MLA's lists, and the codes of file names.
_WORDS = {
    "neutral": "NEU",
    "happy": "HAP",
    "sad": "SAD",
    "fear": "FEA",
    "disgust": "DIS",
    "anger": "ANG",
}
_ENDINGS = (".flv", ".wav", ".mp4")


def find_lists(source: Path) -> dict[str, Path]:
    """Split -> its list.

    Raises:
      ValueError: there is none, or there are two.
    """
    found = {}
    for split, names in _NAMES.items():
        paths = [source / name for name in names if (source / name).is_file()]
        if len(paths) > 1:
            both = " and ".join(path.name for path in paths)
            raise ValueError(f"{source} has both {both}, which are different draws; one must go.")
        if not paths:
            raise ValueError(
                f"{source / names[0]} does not exist; it is a list of the OGM-GE release"
                " (https://github.com/GeWu-Lab/OGM-GE_CVPR2022, folder data/CREMAD);"
                f" {names[2]} of MLA's release will do too, which is another draw. The option"
                " split='actor' needs no list."
            )
        found[split] = paths[0]
    return found


def read_list(path: Path, codes: Sequence[str]) -> Iterator[tuple[str, int, str]]:
    """Each line's clip, number of its emotion, and whose draw lines of this kind are.

    Args:
      path: the list.
      codes: of the emotions, by number.

    Raises:
      ValueError: a line is none of ``NAME,SAD`` and ``NAME.flv Sad``.
    """
    # The lists begin with a byte order mark here and there.
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.reader(file), start=1):
            if not row or not "".join(row).strip():
                continue
            draw, cells = ("OGM-GE", row) if len(row) > 1 else ("MLA", row[0].split())
            if len(cells) == 2:
                name, word = (cell.strip() for cell in cells)
                code = _WORDS.get(word.lower(), word)
                if code in codes and name:
                    yield _stem(name), codes.index(code), draw
                    continue
            raise ValueError(
                f"{path}, line {number}: {','.join(row)!r} was found; a line such as"
                f" '1001_DFA_ANG_XX,ANG', with one of {codes}, or '1001_DFA_ANG_XX.flv Anger' is"
                " needed."
            )


def _stem(name: str) -> str:
    ending = Path(name).suffix
    return name.removesuffix(ending) if ending in _ENDINGS else name
