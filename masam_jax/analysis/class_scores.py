"""How well each class was found: precision, recall and F1 from the counts that a run left."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from masam_jax.analysis.markdown import one_line
from masam_jax.analysis.records import Directory
from masam_jax.analysis.statistics import Summary
from masam_jax.config.errors import RunError
from masam_jax.training.class_counts import COUNTS_FILE
from masam_jax.training.storage.data_facts import DATA_FILE, read_facts
from masam_jax.training.storage.sealed_files import read_sealed_json


@dataclass(frozen=True)
class ClassScore:
    """One class, or one of several labels; scores are fractions, over seeds.

    A seed in which a score is not defined (recall of a class without samples) is left out of it.

    Attributes:
      name: of the class.
      precision: share of the samples predicted as the class that are of it; 0 of none.
      recall: share of the samples of the class that were predicted as it.
      f1: harmonic mean of the two.
      support: samples of the class, all seeds together.
    """

    name: str
    precision: Summary
    recall: Summary
    f1: Summary
    support: int


@dataclass(frozen=True)
class ClassCounts:
    """What one method took for what.

    Attributes:
      names: of the C classes, or K labels.
      counts: int64 ``[S, C, C]``, true down and predicted across; of labels ``[S, K, 2, 2]``.
    """

    names: tuple[str, ...]
    counts: np.ndarray

    @property
    def multi_label(self) -> bool:
        """Whether a sample has several labels, and so no single class."""
        return self.counts.ndim == 4

    @property
    def pooled(self) -> np.ndarray:
        """The counts of all seeds together."""
        return np.asarray(self.counts.sum(axis=0))

    def scores(self) -> list[ClassScore]:
        """Every class's, in their order."""
        hits, missed, wrong = self._outcomes()
        support, predicted = hits + missed, hits + wrong
        # As scikit-learn has it, nothing predicted is a precision of 0, where there was something.
        precision = _ratio(hits, np.where((predicted == 0) & (support > 0), 1, predicted))
        recall = _ratio(hits, support)
        f1 = _ratio(2 * hits, 2 * hits + missed + wrong)
        return [
            ClassScore(
                name,
                _summary(precision[:, k]),
                _summary(recall[:, k]),
                _summary(f1[:, k]),
                int(support[:, k].sum()),
            )
            for k, name in enumerate(self.names)
        ]

    def confused_pairs(self) -> list[tuple[str, str, int, float]]:
        """True class, predicted class, samples, and their share of the true class; most first."""
        if self.multi_label:
            return []
        pooled = self.pooled
        totals = pooled.sum(axis=1)
        wrong = [(t, p) for t, p in zip(*np.nonzero(pooled), strict=True) if t != p]
        wrong.sort(key=lambda pair: (-pooled[pair], pair))
        return [
            (self.names[t], self.names[p], int(pooled[t, p]), float(pooled[t, p] / totals[t]))
            for t, p in wrong
        ]

    def _outcomes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Found, missed, and wrongly predicted samples of each class, ``[S, C]`` each."""
        if self.multi_label:
            tables = self.counts
            return tables[..., 1, 1], tables[..., 1, 0], tables[..., 0, 1]
        hits = np.diagonal(self.counts, axis1=1, axis2=2)
        return hits, self.counts.sum(axis=2) - hits, self.counts.sum(axis=1) - hits


def read_class_counts(record: Directory) -> list[tuple[str, str, ClassCounts]]:
    """Title, specification and counts of every method that recorded them on the reported split.

    Args:
      record: from `read_directory`.

    Raises:
      ValueError: a file of theirs, or the one with the classes' names, is damaged.
    """
    names = None
    if (record.path / DATA_FILE).is_file():
        try:
            names = read_facts(record.path).classes
        except RunError as error:
            raise ValueError(str(error)) from error
    counted = []
    for method in record.methods:
        path = record.path
        if record.is_comparison:
            path = path / "methods" / method.result["slug"]
        counts = read_counts(path, record.split, len(method.result["seeds"]), names)
        if counts is not None:
            counted.append((method.title, str(method.result["spec"]), counts))
    return counted


def read_counts(
    path: Path, split: str, seeds: int, names: Sequence[str] | None
) -> ClassCounts | None:
    """The counts in a method's directory.

    Args:
      path: the directory.
      split: the one that is reported.
      seeds: S.
      names: of the classes; their numbers where they are not known.

    Returns:
      The counts; None where there are none of that split (an older run).

    Raises:
      ValueError: the file is damaged.
    """
    file = path / COUNTS_FILE
    if not file.is_file():
        return None
    try:
        content = read_sealed_json(file)
        counts = np.array(content["counts"])
        found = content["split"]
    except RunError as error:
        raise ValueError(str(error)) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file} is damaged: {error!r}") from error
    classes = counts.shape[1] if counts.ndim > 1 else 0
    shapes = ((seeds, classes, classes), (seeds, classes, 2, 2))
    if counts.dtype.kind != "i" or counts.shape not in shapes or not classes or counts.min() < 0:
        raise ValueError(
            f"{file} is damaged: counts have shape {counts.shape} and type {counts.dtype}; numbers"
            f" of samples [{seeds}, C, C] or [{seeds}, K, 2, 2] are needed"
        )
    if found != split:
        return None
    if names is None or len(names) != classes:
        names = [str(number) for number in range(classes)]
    return ClassCounts(tuple(map(one_line, names)), counts)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _summary(values: np.ndarray) -> Summary:
    defined = values[np.isfinite(values)]
    if not defined.size:
        return Summary(None, None, 0)
    std = float(defined.std(ddof=1)) if defined.size > 1 else None
    return Summary(float(defined.mean()), std, defined.size)
