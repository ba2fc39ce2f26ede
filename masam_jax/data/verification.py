"""Reads a data set back, sample by sample, and says what is in it and what is wrong with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from masam_jax.core.specs import check_optional_sizes
from masam_jax.data.builders.build_job import OnSample
from masam_jax.data.checked_rows import checked_rows, in_a_line
from masam_jax.data.constant_inputs import is_constant
from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.sample_statistics import RunningStatistics, SampleStatistics

if TYPE_CHECKING:
    from masam_jax.data.on_disk import PreparedData


class BadSample(NamedTuple):
    """What is wrong with a sample.

    Attributes:
      key: its name.
      message: in a line.
    """

    key: str
    message: str


class ShownSample(NamedTuple):
    """A sample to be looked at.

    Attributes:
      part: as in `Verification.parts`.
      key: its name.
      label: class, or zeros and ones ``[K]``.
      sample: modality -> sample, without those it lacks.
    """

    part: str
    key: str
    label: Any
    sample: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
      total: number of samples.
      read: number of those that were read.
      parts: ``"train"``, ``"validation"``, ``"test"`` of seed 0 and, where rows are left,
        ``"unused"`` -> rows; ``"all"`` of data in memory that are split as training options say.
      counts: the same -> int ``[C]``, samples of each class, or ``[K]``, those with each label.
      statistics: modality -> what its values look like.
      nan_shares: stored table of floats -> share of NaN in it, before it was decoded.
      problems: what is wrong, in the order of the rows.
      examples: a few samples of each part, of different classes.
      constants: modality -> samples in which all of its values are one, if there are any.
    """

    total: int
    read: int
    parts: Mapping[str, np.ndarray]
    counts: Mapping[str, np.ndarray]
    statistics: Mapping[str, SampleStatistics]
    nan_shares: Mapping[str, float]
    problems: tuple[BadSample, ...]
    examples: tuple[ShownSample, ...]
    constants: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


def verify_data(
    data: PreparedData | MultimodalData,
    *,
    samples: int | None = None,
    examples: int = 3,
    progress: OnSample | None = None,
) -> Verification:
    """Reads samples, decodes them without augmentation, and checks each.

    A sample must decode, be what its modalities say (`check_sample`), have zeros after its real
    steps, tokens within the vocabulary, at least one modality, and the name and label that the
    index has for its row.

    Args:
      data: prepared, or in memory.
      samples: how many are read, spread over all; None for all.
      examples: how many of each part are kept.
      progress: told of every sample.

    Raises:
      ValueError: the data set cannot be split, or not even begun to be read.
    """
    check_optional_sizes(samples=samples)
    parts = _parts(data)
    rows = checked_rows(data, parts.get("train"))
    shown = {part: _spread(found, data.labels, examples) for part, found in parts.items()}
    chosen = _chosen(len(data), np.concatenate(list(shown.values())), samples)
    part_of = {int(row): part for part, found in shown.items() for row in found}
    running = {name: RunningStatistics(spec) for name, spec in data.modality_specs.items()}
    problems, kept = [], {}
    constants: dict[str, list[str]] = {}
    for done, row in enumerate(chosen.tolist(), start=1):
        key = rows.key(row)
        try:
            sample = rows.read(row)
        # Each reader and decoder has its own kinds of error.
        except Exception as error:
            problems.append(BadSample(key, in_a_line(error)))
        else:
            for name, statistics in running.items():
                statistics.add(sample.get(name))
                if name in sample and is_constant(sample[name], data.modality_specs[name]):
                    constants.setdefault(name, []).append(key)
            if row in part_of:
                kept[row] = ShownSample(part_of[row], key, data.labels[row], sample)
        if progress is not None:
            progress(done, len(chosen))
    order = [int(row) for found in shown.values() for row in found]
    return Verification(
        total=len(data),
        read=len(chosen),
        parts=parts,
        counts={
            part: class_counts(data.labels[found], data.num_classes)
            for part, found in parts.items()
        },
        statistics={name: statistics.result() for name, statistics in running.items()},
        nan_shares=rows.nan_shares(),
        constants={name: tuple(keys) for name, keys in sorted(constants.items())},
        problems=tuple(problems),
        examples=tuple(kept[row] for row in order if row in kept),
    )


def class_counts(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Samples of each class ``[C]``, or with each label ``[K]``; of targets, their sums.

    Args:
      labels: classes ``[N]``, zeros and ones ``[N, K]``, or targets.
      num_classes: C or K.
    """
    if labels.ndim == 2:
        return labels.sum(axis=0)
    return np.bincount(labels, minlength=num_classes)


def _parts(data: PreparedData | MultimodalData) -> dict[str, np.ndarray]:
    """Rows of the parts that are not empty; all of them where training options say what is what."""
    rows = np.arange(len(data))
    if isinstance(data, MultimodalData) and data.splitter is None:
        return {"all": rows}
    parts = data.split(seed=0)._asdict()
    parts["unused"] = np.setdiff1d(rows, np.concatenate(list(parts.values())))
    return {part: found for part, found in parts.items() if len(found)}


def _spread(rows: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of the rows, of as many classes as possible, far from each other."""
    kinds = np.unique(labels[rows], axis=0, return_inverse=True)[1].reshape(-1)
    # The first row of each class, then the second of each, and so on, each round in order of class.
    order = np.argsort(kinds, kind="stable")
    starts = np.searchsorted(kinds[order], kinds[order])
    rounds = np.arange(len(order)) - starts
    turn = rows[order[np.lexsort((kinds[order], rounds))]]
    first = turn[: len(np.unique(kinds))]
    if count < len(first):
        return first[np.linspace(0, len(first) - 1, count).round().astype(int)]
    return turn[:count]


def _chosen(total: int, shown: np.ndarray, samples: int | None) -> np.ndarray:
    """Rows to be read, in their order: those to be shown first of all."""
    if samples is None or samples >= total:
        return np.arange(total)
    shown = shown[:samples]
    others = np.setdiff1d(np.arange(total), shown)
    places = np.linspace(0, len(others) - 1, samples - len(shown)).round().astype(int)
    return np.sort(np.concatenate([shown, others[places]]))
