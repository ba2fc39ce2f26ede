"""Parts of data that come without any: by share, by whole groups, or as one of k folds."""

from __future__ import annotations

import warnings

import numpy as np

from masam_jax.core.extras import needs
from masam_jax.data.splits import TEST, VALIDATION, Split, draw_rows, published_split, strata_of

TEST_SHARE, VALIDATION_SHARE = 0.2, 0.1
"""Shares of the rows that are held out where nothing else is asked for."""


def drawn_split(
    labels: np.ndarray,
    groups: np.ndarray | None,
    *,
    seed: int,
    split_seed: int = 0,
    train_size: int | None = None,
    validation_size: float | None = None,
    test_size: float | None = None,
) -> Split:
    """Rows of the three parts, all of them drawn by `draw_parts`.

    Args:
      labels: classes ``[N]``, or zeros and ones ``[N, K]``, which are not stratified.
      groups: ``[N]``, whose row it is; None where every row is a group of its own.
      seed: training seed; read where ``train_size`` is given.
      split_seed: draws test and validation.
      train_size: number of training rows; None for all that remain.
      validation_size: as for `draw_parts`, and so ``test_size``.
      test_size: likewise.

    Raises:
      ValueError: too few rows or groups for what is asked.
    """
    parts = draw_parts(
        labels, groups, seed=split_seed, validation_size=validation_size, test_size=test_size
    )
    return rows_of_parts(parts, labels, seed=seed, train_size=train_size)


def draw_parts(
    labels: np.ndarray,
    groups: np.ndarray | None,
    given: np.ndarray | None = None,
    *,
    seed: int,
    validation_size: float | None = None,
    test_size: float | None = None,
    folds: int | None = None,
    fold: int = 0,
) -> np.ndarray:
    """The part of each row; what is not given is drawn.

    Test rows, then validation rows are drawn from the rows that are left, stratified by class where
    rows have one: single rows by `SPLIT_RULE`, whole groups and folds by scikit-learn's splitters,
    where a size asks for about so many rows.

    Args:
      labels: classes ``[N]``, or zeros and ones ``[N, K]``, which are not stratified.
      groups: ``[N]``, whose row it is; None where every row is a group of its own.
      given: ``[N]`` of ``"train"``, ``"validation"``, ``"test"``, and anything else for rows that
        are in no part; None for nothing.
      seed: draws test and validation.
      validation_size: number of validation rows, or, below 1, their share of all rows;
        `VALIDATION_SHARE` when None. Read where they are not given.
      test_size: likewise; `TEST_SHARE` when None.
      folds: number of folds, of which one is tested on; instead of ``test_size``.
      fold: which one, in ``[0, folds)``.

    Returns:
      ``[N]``, of ``"train"``, ``"validation"``, ``"test"``, and what else was given.

    Raises:
      ValueError: too few rows, groups or classes for what is asked.
    """
    parts = np.full(len(labels), "train", "U10") if given is None else given.astype("U10")
    strata = strata_of(labels)
    held_out = {
        "test": (TEST, TEST_SHARE, test_size),
        "validation": (VALIDATION, VALIDATION_SHARE, validation_size),
    }
    for part, (stream, share, size) in held_out.items():
        if (parts == part).any():
            continue
        rows = np.flatnonzero(parts == "train").astype(np.int32)
        if part == "test" and folds is not None:
            chosen = _fold(strata, groups, rows, folds, fold, seed)
        else:
            count = _count(part, share if size is None else size, len(labels), len(rows))
            chosen = _held_out(strata, groups, rows, count, seed, stream)
        parts[chosen] = part
    return parts


def rows_of_parts(
    parts: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    split_seed: int = 0,
    train_size: int | None = None,
    validation_size: int | None = None,
    test_size: int | None = None,
) -> Split:
    """The rows of each part, or some of them, as `published_split` draws them.

    Args:
      parts: what `draw_parts` returned.
      labels: classes ``[N]``, or zeros and ones ``[N, K]``.
      seed: draws training rows, where there is a size.
      split_seed: draws the others.
      train_size: number of rows; None for all, and so the following.
      validation_size: likewise.
      test_size: likewise.

    Raises:
      ValueError: fewer rows than a size asks for.
    """
    return published_split(
        parts,
        labels,
        # There are validation rows, so that no group is looked at.
        np.full(len(labels), ""),
        seed=seed,
        split_seed=split_seed,
        train_size=train_size,
        validation_size=validation_size,
        test_size=test_size,
    )


def _count(part: str, size: float, total: int, left: int) -> int:
    count = max(1, round(size * total)) if size < 1 else int(size)
    if count >= left:
        raise ValueError(
            f"{part}: {count} of {total} rows are asked for, and {left} are left, of which some"
            " must remain to train on; smaller parts or more rows are needed."
        )
    return count


def _held_out(
    strata: np.ndarray,
    groups: np.ndarray | None,
    rows: np.ndarray,
    count: int,
    seed: int,
    stream: int,
) -> np.ndarray:
    if groups is None:
        return draw_rows(strata, rows, count, seed, stream)
    # Whole groups: about one of so many folds.
    folds = max(2, round(len(rows) / count))
    return _fold(strata, groups, rows, min(folds, _count_groups(groups[rows])), 0, seed + stream)


def _count_groups(groups: np.ndarray) -> int:
    count = len(np.unique(groups))
    if count < 2:
        raise ValueError(
            f"groups: {count} is left to draw a part from; at least 2 are needed, so that one"
            " remains to train on."
        )
    return count


def _fold(
    strata: np.ndarray,
    groups: np.ndarray | None,
    rows: np.ndarray,
    folds: int,
    fold: int,
    seed: int,
) -> np.ndarray:
    """The rows of one fold."""
    with needs("splitting by groups and folds", "data"):
        from sklearn.model_selection import (
            GroupKFold,
            KFold,
            StratifiedGroupKFold,
            StratifiedKFold,
        )

    found = len(rows) if groups is None else _count_groups(groups[rows])
    if not 0 <= fold < folds <= found:
        kind = "rows" if groups is None else "groups"
        raise ValueError(
            f"fold {fold} of {folds} is asked for, of {found} {kind}; folds must lie in"
            f" 2..{found}, and fold in 0..{folds - 1}."
        )
    one_class = len(np.unique(strata[rows])) < 2
    # The smallest class need not be in every fold; where no class could be, none is looked at.
    plain = one_class or np.bincount(strata[rows]).max() < folds
    if groups is None:
        kind = KFold if plain else StratifiedKFold
    else:
        kind = GroupKFold if plain else StratifiedGroupKFold
    splitter = kind(n_splits=folds, shuffle=True, random_state=seed)
    of = None if groups is None else groups[rows]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found_folds = list(splitter.split(rows, strata[rows], of))
    return rows[found_folds[fold][1]]
