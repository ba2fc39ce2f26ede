"""What is odd about data, though they can be trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.splits import Split

_ROWS_NAMED = 3
_HEAD = 1000


def suspicions(data: MultimodalData, splits: Sequence[Split]) -> tuple[str, ...]:
    """A sentence on each thing that may spoil a result.

    A modality, or a feature of it, that tells the class of every row; a modality whose rows are all
    alike; rows that are in two parts, every value of every modality the same; classes that are
    judged and not trained on.

    Args:
      data: the data.
      splits: one for each seed; the first one's parts are compared.
    """
    found = []
    has_classes = not data.multi_label and not data.is_regression
    codes = {m: _codes(data, m) for m in data.modalities}
    for m, code in codes.items():
        rows = data.present.get(m, np.ones(len(data), np.bool_))
        if len(np.unique(code[rows])) == 1:
            found.append(f"{data.name}: modality {m!r} is the same in every row.")
        elif has_classes and (where := _leak(data, m, code, rows)) is not None:
            found.append(
                f"{data.name}: {where} tells the class of every row; a label that slipped in among"
                " the features makes every result meaningless."
            )
    if splits:
        whole = np.unique(np.stack(list(codes.values()), axis=1), axis=0, return_inverse=True)[1]
        found += _across(data, whole.reshape(-1), splits[0])
        found += _untrained(data, splits)
    return tuple(found)


def _codes(data: MultimodalData, modality: str) -> np.ndarray:
    """Int ``[N]``: rows with the same values have the same number."""
    seen: dict[bytes, int] = {}
    leaves = jax.tree.leaves(data.features[modality])
    has = data.present.get(modality, np.ones(len(data), np.bool_))

    def code(row: int) -> int:
        key = b"".join(leaf[row].tobytes() for leaf in leaves) if has[row] else b""
        return seen.setdefault(key, len(seen))

    return np.array([code(row) for row in range(len(data))])


def _leak(data: MultimodalData, modality: str, code: np.ndarray, rows: np.ndarray) -> str | None:
    labels = data.labels[rows]
    if _tells(code[rows], labels):
        return f"modality {modality!r}{_of_column(data, modality, 0, 1)}"
    features: Any = data.features[modality]
    if data.modality_specs[modality].kind != "vector":
        return None
    for place in range(features.shape[1]):
        if _tells(features[rows, place], labels):
            column = _of_column(data, modality, place, features.shape[1])
            return f"feature {place} of modality {modality!r}{column}"
    return None


def _of_column(data: MultimodalData, modality: str, place: int, count: int) -> str:
    """Which column one of ``count`` features was; empty where no table says."""
    group = None if data.recipe is None else data.recipe.modalities.get(modality)
    if group is None or group.kind not in ("category", "vector"):
        return ""
    words = group.settings.get("words", {})
    columns = [name for name in group.columns for _ in words.get(name, (name,))]
    # An array has many features.
    return f" (column {columns[place]!r})" if len(columns) == count else ""


def _tells(values: np.ndarray, labels: np.ndarray) -> bool:
    """Whether values are the classes by other names, one for each."""
    classes = len(np.unique(labels))
    # Most features have many values, which the first rows show.
    if len(np.unique(values[:_HEAD])) > classes:
        return False
    different, numbers = np.unique(values, return_inverse=True)
    # As many values as classes and as many pairs: each value has one class. One each is no proof.
    if len(different) != classes or len(labels) < 2 * classes:
        return False
    return len(np.unique(numbers.reshape(-1) * (labels.max() + 1) + labels)) == classes


def _untrained(data: MultimodalData, splits: Sequence[Split]) -> list[str]:
    """Classes without a training sample, of any seed, that validation or test samples have."""
    if data.multi_label or data.is_regression:
        return []
    lacking: set[int] = set()
    for split in splits:
        judged = np.concatenate([split.validation, split.test])
        lacking |= set(data.labels[judged].tolist()) - set(data.labels[split.train].tolist())
    if not lacking:
        return []
    names = ", ".join(repr(data.class_names[number]) for number in sorted(lacking)[:_ROWS_NAMED])
    more = ", …" if len(lacking) > _ROWS_NAMED else ""
    return [
        f"{data.name}: {len(lacking)} of {data.num_classes} classes have no training sample, and"
        f" are to be predicted ({names}{more})."
    ]


def _across(data: MultimodalData, whole: np.ndarray, split: Split) -> list[str]:
    """Rows to be judged on that are also among those to train on."""
    sentences = []
    known = set(whole[split.train].tolist())
    for part in ("validation", "test"):
        rows = getattr(split, part)
        twice = [int(row) for row in rows if whole[row] in known]
        if not twice:
            continue
        first = dict(zip(whole[split.train].tolist(), split.train.tolist(), strict=True))
        pairs = ", ".join(f"{row} and {first[whole[row]]}" for row in twice[:_ROWS_NAMED])
        sentences.append(
            f"{data.name}: {len(twice)} of {len(rows)} {part} samples are in the training samples,"
            f" too (rows {pairs}{', …' if len(twice) > _ROWS_NAMED else ''}); group=COLUMN keeps"
            " rows together."
        )
    return sentences
