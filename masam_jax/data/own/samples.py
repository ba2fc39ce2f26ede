"""All samples of one modality, made of columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from masam_jax.core.specs import unknown
from masam_jax.data.modality import Kind, Modality, Normalization
from masam_jax.data.own.columns import Columns, as_objects, is_number, missing
from masam_jax.data.own.recipe import Ingredients


class Samples(NamedTuple):
    """All samples of a modality.

    Attributes:
      features: as `MultimodalData` takes them.
      spec: what one looks like.
      present: bool ``[N]``, the rows that have it; values of the others are zeros.
      vocabulary: words of tokens, by number; empty where they are not known.
      content: sha256 (hex) of the files that they were read from; empty for none.
      settled: settings of the kind by which other rows become samples like these.
    """

    features: Any
    spec: Modality
    present: np.ndarray
    vocabulary: tuple[str, ...] = ()
    content: str = ""
    settled: Mapping[str, Any] = {}


def make_vector(columns: Columns, group: Ingredients) -> Samples:
    """Columns of numbers, or one array ``[N, D]``, side by side; a row of NaN alone is missing.

    Raises:
      ValueError: a value is no number, or missing while others of its row are there.
    """
    parts = [_numbers(columns, name).reshape(len(columns), -1) for name in group.columns]
    values = np.concatenate(parts, axis=1)
    if len(parts) > 1 or columns[group.columns[0]].ndim == 1:
        # A whole number here and there does not make a column of integers.
        values = values.astype(np.float32)
    if values.dtype.kind == "f":
        lacking = np.isnan(values)
        present = ~lacking.all(axis=1)
        if (lacking[present]).any():
            row = int(np.flatnonzero(lacking.any(axis=1) & present)[0])
            widths = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])
            first = int(np.flatnonzero(lacking[row])[0])
            name = group.columns[int(widths[first])]
            feature = first - int(np.flatnonzero(widths == widths[first])[0])
            of_array = f", feature {feature}" if columns[name].ndim > 1 else ""
            count = int(np.count_nonzero(lacking[present]))
            raise ValueError(
                f"{columns.at(row, name)}{of_array}: the value is missing, as are {count} in"
                " all; fill them in (a row that lacks all columns of a modality is a sample without"
                " it)"
            )
        values = np.where(lacking, 0, values).astype(np.float32)
    else:
        present = np.ones(len(values), np.bool_)
    return Samples(values, Modality("vector", values.shape[1:], values.dtype), present)


def make_category(columns: Columns, group: Ingredients) -> Samples:
    """Words as zeros and a one for each column, in the order of the words; side by side.

    A row without a word has zeros in that column; one without any lacks the modality.

    Raises:
      ValueError: a word is not among the ``words`` of its column that are known, where they are.
    """
    parts, present, settled = [], np.zeros(len(columns), np.bool_), {}
    for name in group.columns:
        values = columns[name]
        has = ~missing(values)
        rows = np.flatnonzero(has).tolist()
        found = [str(values[row]) for row in rows]
        words = [str(word) for word in group.settings.get("words", {}).get(name, np.unique(found))]
        numbers = {word: number for number, word in enumerate(words)}
        features = np.zeros((len(values), len(words)), np.float32)
        for row, word in zip(rows, found, strict=True):
            if word not in numbers:
                raise ValueError(f"{columns.at(row, name)}: {unknown('category', word, words)}")
            features[row, numbers[word]] = 1
        parts.append(features)
        present |= has
        settled[name] = words
    joined = np.concatenate(parts, axis=1)
    spec = Modality("vector", joined.shape[1:], np.float32, Normalization("none"))
    return Samples(joined, spec, present, settled={"words": settled})


def make_grid(columns: Columns, group: Ingredients) -> Samples:
    """An array ``[N, ...]`` as images, spectrograms or frames; a last axis of 1 may be left out."""
    (name,) = group.columns
    kind: Kind = group.kind  # type: ignore[assignment]
    values = _numbers(columns, name)
    if values.ndim == (4 if kind == "frames" else 3):
        values = values[..., np.newaxis]
    if values.ndim != (5 if kind == "frames" else 4):
        raise ValueError(
            f"{columns.named(name)}: its shape is {list(values.shape)}; of kind"
            f" {kind!r} it is {'[N, T, H, W, C]' if kind == 'frames' else '[N, H, W, C]'}"
        )
    present, values = _without_nan(columns, name, values)
    rule = Normalization("scalar") if kind == "spectrogram" else Normalization()
    return Samples(values, Modality(kind, values.shape[1:], values.dtype, rule), present)


def make_sequence(columns: Columns, group: Ingredients) -> Samples:
    """``[N, T, D]``, with a mask or whole; or lists of any length, filled up with zeros."""
    (name,) = group.columns
    values = columns[name]
    length = group.settings.get("length")
    is_of_another = "mask" not in group.settings and length not in (None, *values.shape[1:2])
    if values.dtype == np.object_ or is_of_another:
        return padded(columns, name, as_objects(values), length)
    values = _numbers(columns, name).astype(np.float32)
    if values.ndim == 2:
        values = values[..., np.newaxis]
    if values.ndim != 3:
        raise ValueError(
            f"{columns.named(name)}: its shape is {list(values.shape)}; of kind"
            " 'sequence' it is [N, T, D]"
        )
    present, values = _without_nan(columns, name, values)
    mask = _mask(columns, group, values.shape[:2]) & present[:, np.newaxis]
    values = np.where(mask[..., np.newaxis], values, np.float32(0))
    return Samples(
        {"values": values, "mask": mask}, Modality("sequence", values.shape[1:]), present
    )


def make_tokens(columns: Columns, group: Ingredients) -> Samples:
    """Integers ``[N, L]``, with a mask or whole."""
    (name,) = group.columns
    values = _numbers(columns, name)
    if values.ndim != 2 or values.dtype.kind not in "iu" or values.min() < 0:
        raise ValueError(
            f"{columns.named(name)}: dtype {values.dtype} and shape"
            f" {list(values.shape)}; tokens are integers [N, L] from 0"
        )
    mask = _mask(columns, group, values.shape)
    present = np.asarray(mask.any(axis=1))
    tokens = np.where(mask, values, 0).astype(np.int32)
    size = int(tokens.max()) + 1
    spec = Modality("tokens", tokens.shape[1:], np.int32, Normalization("none"), size)
    return Samples({"tokens": tokens, "mask": mask}, spec, present)


def padded(columns: Columns, name: str, values: np.ndarray, length: int | None) -> Samples:
    """Rows of steps ``[T]`` or ``[T, D]``, with zeros after their ends.

    Args:
      columns: of the data, for messages.
      name: of the column, likewise.
      values: objects ``[N]``; None where a row is missing.
      length: steps that are kept; of the longest row when None.

    Raises:
      ValueError: a row is no array of numbers, or rows differ in more than their length.
    """
    present = np.array([value is not None and len(value) > 0 for value in values])
    rows, width = {}, None
    for row in np.flatnonzero(present).tolist():
        try:
            each = np.asarray(values[row], np.float32)
        except (TypeError, ValueError):
            raise ValueError(
                f"{columns.at(row, name)}: it is no array of numbers, or a ragged one"
            ) from None
        each = each[:, np.newaxis] if each.ndim == 1 else each
        width = each.shape[1:] if width is None else width
        if each.ndim != 2 or each.shape[1:] != width:
            raise ValueError(
                f"{columns.at(row, name)}: its shape is {list(each.shape)}, and others have"
                f" {['T', *(width or ())]}; rows may differ in length alone"
            )
        if not np.isfinite(each).all():
            raise ValueError(f"{columns.at(row, name)}: it holds values that are not finite")
        rows[row] = each
    if width is None:
        raise ValueError(f"{columns.named(name)}: no row has a value")
    steps = max(len(each) for each in rows.values()) if length is None else length
    found = np.zeros((len(values), steps, *width), np.float32)
    mask = np.zeros((len(values), steps), np.bool_)
    for row, each in rows.items():
        kept = each[:steps]
        found[row, : len(kept)], mask[row, : len(kept)] = kept, True
    spec = Modality("sequence", found.shape[1:])
    return Samples({"values": found, "mask": mask}, spec, present, settled={"length": steps})


def _mask(columns: Columns, group: Ingredients, shape: tuple[int, ...]) -> np.ndarray:
    if "mask" not in group.settings:
        return np.ones(shape, np.bool_)
    name = str(group.settings["mask"])
    mask = columns[name]
    if mask.shape != shape:
        raise ValueError(
            f"{columns.source}: array {name!r} has shape {list(mask.shape)}; {list(shape)} is"
            " needed"
        )
    return mask.astype(np.bool_)


def _numbers(columns: Columns, name: str) -> np.ndarray:
    values = columns[name]
    if not is_number(values):
        at = _first_odd(values)
        raise ValueError(
            f"{columns.at(at, name)}: {str(values[at])[:40]!r} is no number"
            if values.ndim == 1 and not isinstance(values[at], list | np.ndarray)
            else f"{columns.named(name)}: rows have different shapes"
        )
    return values


def _first_odd(values: np.ndarray) -> int:
    for row, value in enumerate(values):
        try:
            float(value)
        except (TypeError, ValueError):
            return row
    return 0


def _without_nan(columns: Columns, name: str, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which rows there are, and zeros in the place of others; a row of NaN alone is missing."""
    if values.dtype.kind != "f":
        return np.ones(len(values), np.bool_), values
    lacking = np.isnan(values).reshape(len(values), -1)
    present = ~lacking.all(axis=1)
    if lacking[present].any():
        row = int(np.flatnonzero(lacking.any(axis=1) & present)[0])
        first = np.unravel_index(int(np.argmax(lacking[row])), values.shape[1:])
        raise ValueError(
            f"{columns.at(row, name)}: {int(lacking[row].sum())} values are NaN, the first at"
            f" {list(map(int, first))}; fill them in (a row of NaN alone is a sample without"
            " the modality)"
        )
    shape = (-1, *[1] * (values.ndim - 1))
    return present, np.where(present.reshape(shape), values, 0).astype(values.dtype)
