"""Deterministic stratified splits."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

from masam_jax.core.specs import check_number
from masam_jax.data.permutation import seeded_permutation

SPLIT_RULE = (
    "Every part is stratified: class c gets floor(size * share of c among the rows left) rows, and "
    "the rows still missing go one each to the classes with the largest remainders (the lower "
    "class first on ties). Within a class, rows are taken in the order that ranks PCG64 words from "
    "SeedSequence(seed, spawn_key=(part, class)), part 0 = test, 1 = validation, 2 = train. "
    "Test, then validation are drawn with split_seed and are the same for every training seed; "
    "train is drawn with the training seed from the rows left. Indices are sorted."
)
"""The rule of `make_split` in words, to be written beside the results."""

TEST, VALIDATION, _TRAIN = 0, 1, 2
# Streams of their own, for `hold_out` and `published_split`; 3 is the order of training rows
# (`row_order.py`).
_HELD_OUT, _PUBLISHED = 4, 5
# Of the training rows, where no validation rows were published.
_HELD_OUT_SHARE = 0.1


class Split(NamedTuple):
    """Row indices of the three parts, int32, sorted, disjoint."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def make_split(
    labels: np.ndarray,
    *,
    seed: int,
    train_size: int | None = 100,
    validation_size: int = 400,
    test_size: int = 1000,
    split_seed: int = 0,
) -> Split:
    """Split rows into train, validation and test, each stratified by class.

    Test and validation depend on ``split_seed`` alone, so all training seeds are judged on the same
    rows; ``seed`` draws the training rows from those that remain. `SPLIT_RULE` says how, and
    the same arguments give the same split on every machine and NumPy release.

    Args:
      labels: integer classes ``[N]``.
      seed: training seed, an integer >= 0.
      train_size: number of training rows, or None for all that remain (then ``seed`` is unused).
      validation_size: number of validation rows; may be 0.
      test_size: number of test rows; may be 0.
      split_seed: draws test and validation, an integer >= 0.

    Raises:
      ValueError: for a negative size or seed, or when the data are too few.

    Examples:
      >>> import numpy as np
      >>> labels = np.array([0, 1] * 10)
      >>> split = make_split(labels, seed=3, train_size=4, validation_size=6, test_size=8)
      >>> [len(part) for part in split]
      [4, 6, 8]
      >>> np.bincount(labels[split.train]).tolist()
      [2, 2]
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels have shape {labels.shape} and dtype {labels.dtype}; "
            "a vector [N] of integers is needed."
        )
    for name, value in (
        ("seed", seed),
        ("split_seed", split_seed),
        ("validation_size", validation_size),
        ("test_size", test_size),
    ):
        check_number(name, value, "[0, inf)", whole=True)
    left = len(labels) - validation_size - test_size
    if train_size is None:
        train_size = left
    if not 1 <= train_size <= left:
        raise ValueError(
            f"train_size is {train_size}; of {len(labels)} rows, test_size={test_size} and "
            f"validation_size={validation_size} leave {left}: it must lie in 1..{left}."
            if left >= 1
            else f"test_size={test_size} and validation_size={validation_size} leave no row of "
            f"{len(labels)} to train on; they must sum to less than {len(labels)}."
        )
    rows = np.arange(len(labels), dtype=np.int32)
    test = draw_rows(labels, rows, test_size, split_seed, TEST)
    rows = np.setdiff1d(rows, test)
    validation = draw_rows(labels, rows, validation_size, split_seed, VALIDATION)
    rows = np.setdiff1d(rows, validation)
    return Split(draw_rows(labels, rows, train_size, seed, _TRAIN), validation, test)


def published_split(
    splits: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    seed: int,
    split_seed: int = 0,
    train_size: int | None = None,
    validation_size: int | None = None,
    test_size: int | None = None,
) -> Split:
    """The split that a data set was published with.

    Test rows are the published ones. Validation rows are the published ones too; where there are
    none, whole groups of a tenth of the training rows are held out with ``split_seed``, stratified
    by class where every row is a group of its own. What is left is train. Sizes draw a part of
    each: train with ``seed``, the others with ``split_seed``.

    Args:
      splits: ``[N]``, of ``"train"``, ``"validation"``, ``"test"``.
      labels: classes ``[N]``, or ``[N, K]`` of zeros and ones, which are not stratified.
      groups: ``[N]``, whose row it is; ``""`` for a group of its own.
      seed: training seed; read where ``train_size`` is given.
      split_seed: draws what was not published.
      train_size: number of training rows; None for all.
      validation_size: number of validation rows; None for all that were published, or a tenth.
      test_size: number of test rows; None for all.

    Raises:
      ValueError: no training or test rows, or fewer than a size asks for.
    """
    rows = np.arange(len(labels), dtype=np.int32)
    parts = {name: rows[splits == name] for name in ("train", "validation", "test")}
    for name in ("train", "test"):
        if not len(parts[name]):
            raise ValueError(f"the published split has no {name} samples.")
    strata = strata_of(labels)
    if not len(parts["validation"]):
        train, size = parts["train"], validation_size
        size = max(1, round(_HELD_OUT_SHARE * len(train))) if size is None else size
        if size >= len(train):
            raise ValueError(
                f"validation_size is {size}; of {len(train)} published training samples, it must"
                f" lie in 1..{len(train) - 1}."
            )
        parts["validation"] = _hold_out_groups(strata, groups, train, size, split_seed)
        parts["train"] = np.setdiff1d(train, parts["validation"])
    sizes = {"train": train_size, "validation": validation_size, "test": test_size}
    for code, (name, size) in enumerate(sizes.items()):
        found = parts[name]
        # Whole groups may overshoot the validation size by less than a group.
        if size is None or (name == "validation" and size >= len(found)):
            continue
        if not 1 <= size <= len(found):
            raise ValueError(f"{name}_size is {size}; it must lie in 1..{len(found)}.")
        drawn_with = seed if name == "train" else split_seed
        parts[name] = draw_rows(strata, found, size, drawn_with, _PUBLISHED, code)
    return Split(**parts)


def _hold_out_groups(
    strata: np.ndarray, groups: np.ndarray, rows: np.ndarray, size: int, seed: int
) -> np.ndarray:
    """Whole groups with at least ``size`` of the rows; single rows, stratified, without groups."""
    names = groups[rows]
    if (names == "").all() or len(np.unique(names)) == len(rows):
        return draw_rows(strata, rows, size, seed, _PUBLISHED, VALIDATION)
    found, members = np.unique(names, return_inverse=True)
    order = seeded_permutation(len(found), seed, _PUBLISHED, VALIDATION)
    counts = np.bincount(members)[order].cumsum()
    chosen = order[: int(np.searchsorted(counts, size)) + 1]
    return rows[np.isin(members, chosen)]


def hold_out(
    labels: np.ndarray, train: np.ndarray, *, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Training rows in two: those to fit, and a stratified ``share`` that is held out.

    Args:
      labels: integer classes ``[N]`` of all rows, or ``[N, K]`` of zeros and ones, which are not
        stratified.
      train: the training rows.
      share: of them, rounded to whole rows, in [0, 1).
      seed: training seed, which draws them.

    Returns:
      ``(fit, held_out)``, int32, sorted.

    Raises:
      ValueError: the share leaves no row to fit.
    """
    size = round(share * len(train))
    if not 0 <= size < len(train):
        raise ValueError(f"holding out {share} of {len(train)} training rows leaves none to fit.")
    held_out = draw_rows(strata_of(labels), train, size, seed, _HELD_OUT)
    return np.setdiff1d(train, held_out), held_out


def split_digest(split: Split) -> str:
    """sha256 (hex) of the three index lists, to tell whether two runs saw the same rows."""
    digest = hashlib.sha256()
    for name, part in split._asdict().items():
        digest.update(f"{name}:{len(part)}:".encode())
        # Little-endian on every machine.
        digest.update(np.asarray(part).astype("<i4").tobytes())
    return digest.hexdigest()


def strata_of(labels: np.ndarray) -> np.ndarray:
    """The classes ``[N]``; one for all rows that have several labels each, or targets."""
    labels = np.asarray(labels)
    return labels if labels.ndim == 1 else np.zeros(len(labels), np.int32)


def draw_rows(labels: np.ndarray, rows: np.ndarray, size: int, seed: int, *part: int) -> np.ndarray:
    """``size`` of the rows, stratified by class as `SPLIT_RULE` says; sorted.

    Args:
      labels: classes ``[N]`` of all rows.
      rows: those to draw from.
      size: how many.
      seed: draws them, together with ``part``.
      *part: integers >= 0 that tell apart the uses of one seed.
    """
    classes, counts = np.unique(labels[rows], return_counts=True)
    chosen = [np.empty(0, np.int32)]
    for label, quota in zip(classes, _quotas(counts, size), strict=True):
        members = rows[labels[rows] == label]
        chosen.append(members[seeded_permutation(len(members), seed, *part, int(label))[:quota]])
    return np.sort(np.concatenate(chosen))


def _quotas(counts: np.ndarray, size: int) -> np.ndarray:
    """Largest-remainder shares of ``size`` in proportion to ``counts``, never above them."""
    # Integers throughout: shares near a whole number must not depend on rounding.
    shares, remainders = np.divmod(counts.astype(np.int64) * size, max(int(counts.sum()), 1))
    missing = size - int(shares.sum())
    shares[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return shares
