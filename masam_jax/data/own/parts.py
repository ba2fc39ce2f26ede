"""Which part each row is in: as a column says, and drawn where none does."""

from __future__ import annotations

import functools

import numpy as np

from masam_jax.data.drawn_parts import draw_parts, rows_of_parts
from masam_jax.data.in_memory import SplitFunction
from masam_jax.data.own.columns import Columns, missing
from masam_jax.data.own.recipe import RANDOM, Recipe
from masam_jax.data.splits import Split

_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# More numbers than this are no folds.
_MOST_FOLDS = 100


def part_names(values: np.ndarray) -> np.ndarray | None:
    """The part of each row, ``""`` where it is in none; None where a word is no part's name."""
    if values.ndim > 1:
        return None
    empty = missing(values)
    words = ["" if e else str(v).strip().lower() for v, e in zip(values, empty, strict=True)]
    if not any(words) or not all(word in _WORDS or not word for word in words):
        return None
    return np.array([_WORDS.get(word, "") for word in words])


def make_splitter(
    columns: Columns, recipe: Recipe, labels: np.ndarray, groups: np.ndarray | None
) -> SplitFunction:
    """What draws the parts that a column does not give.

    Args:
      columns: of the data.
      recipe: what they are.
      labels: classes ``[N]``, or zeros and ones ``[N, K]``.
      groups: ``[N]``; None for none.

    Raises:
      ValueError: the split column names other parts, or folds of which none is chosen.
    """
    given, folds = None, recipe.folds
    if recipe.split is not None and recipe.split != RANDOM:
        given, folds = _given(columns, recipe), None
    return split_function(labels, groups, given, recipe, folds)


def split_function(
    labels: np.ndarray,
    groups: np.ndarray | None,
    given: np.ndarray | None,
    recipe: Recipe,
    folds: int | None,
) -> SplitFunction:
    """Draws what is not given, once for all training seeds; sizes of training come first.

    Args:
      labels: classes ``[N]``, or zeros and ones ``[N, K]``.
      groups: ``[N]``; None for none.
      given: part of each row; None for none.
      recipe: sizes of the parts.
      folds: number of folds, of which the recipe's is tested on; None for none.
    """
    has = set() if given is None else set(given.tolist())

    @functools.cache
    def drawn(seed: int, validation_size: float | None, test_size: float | None) -> np.ndarray:
        return draw_parts(
            labels,
            groups,
            given,
            seed=seed,
            validation_size=recipe.validation if validation_size is None else validation_size,
            test_size=recipe.test if test_size is None else test_size,
            folds=folds if test_size is None else None,
            fold=recipe.fold or 0,
        )

    def split(
        *,
        seed: int,
        split_seed: int = 0,
        train_size: int | None = None,
        validation_size: int | None = None,
        test_size: int | None = None,
    ) -> Split:
        return rows_of_parts(
            drawn(split_seed, validation_size, test_size),
            labels,
            seed=seed,
            split_seed=split_seed,
            train_size=train_size,
            # What was drawn has its size; of what is given some may be taken.
            validation_size=validation_size if "validation" in has else None,
            test_size=test_size if "test" in has else None,
        )

    return split


def _given(columns: Columns, recipe: Recipe) -> np.ndarray:
    name = str(recipe.split)
    values = columns[name]
    parts = part_names(values)
    if parts is not None:
        if not (parts == "train").any():
            raise ValueError(f"{columns.source}: {columns.noun} {name!r} has no row to train on")
        return parts
    texts = np.array([str(value) for value in columns.require_complete(name, "a part")])
    found = sorted(set(texts.tolist()), key=lambda text: (len(text), text))
    listed = ", ".join(found[:8]) + (", …" if len(found) > 8 else "")
    if len(found) > _MOST_FOLDS or values.dtype.kind not in "biuOU" or len(found) < 2:
        odd = next(row for row, text in enumerate(texts) if text.strip().lower() not in _WORDS)
        raise ValueError(
            f"{columns.at(odd, name)}: {texts[odd]!r} is no part; train, validation and test are"
            " accepted"
        )
    if recipe.fold is None:
        raise ValueError(
            f"{columns.source}: {columns.noun} {name!r} holds {listed}: train, validation and test"
            " are parts, and fold=0 tests on the first of folds"
        )
    if recipe.fold >= len(found):
        raise ValueError(
            f"{columns.source}: {columns.noun} {name!r} has {len(found)} folds ({listed}); fold="
            f"{recipe.fold} must lie in 0..{len(found) - 1}"
        )
    return np.where(texts == found[recipe.fold], "test", "train")
