"""What the values of one modality look like, over samples that are seen one after the other."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from masam_jax.data.modality import Modality


@dataclasses.dataclass(frozen=True)
class SampleStatistics:
    """Of one modality; steps that are not real do not count.

    Attributes:
      spec: what its samples look like.
      present: number of samples that have it.
      absent: number of samples that lack it.
      least: smallest value; NaN where there is none, as in the following.
      most: largest value.
      mean: of all values.
      std: of all values, the population's (ddof 0).
      column_mean: float64 ``[D]``, of each index of the last axis; ``[1]`` of tokens.
      column_std: likewise.
      steps: fewest, mean and most real steps of a sample, of ``"sequence"`` and ``"tokens"``.
    """

    spec: Modality
    present: int
    absent: int
    least: float
    most: float
    mean: float
    std: float
    column_mean: np.ndarray
    column_std: np.ndarray
    steps: tuple[int, float, int] | None

    @property
    def missing_share(self) -> float:
        """Of the samples, how many lack it; 0 where none was seen."""
        return self.absent / max(1, self.present + self.absent)


class RunningStatistics:
    """Takes samples of one modality; keeps none of them."""

    def __init__(self, spec: Modality) -> None:
        """Of samples that are as ``spec`` says."""
        self._spec = spec
        self._present = self._absent = 0
        self._steps: list[int] = []
        self._rows = 0
        width = 1 if spec.kind == "tokens" else spec.shape[-1]
        self._mean, self._squares = np.zeros(width), np.zeros(width)
        self._least, self._most = np.inf, -np.inf

    def add(self, sample: Any) -> None:
        """A sample; None where it lacks the modality."""
        if sample is None:
            self._absent += 1
            return
        self._present += 1
        rows = real_rows(sample)
        if isinstance(sample, dict):
            self._steps.append(len(rows))
        if not len(rows):
            return
        # Chan, Golub and LeVeque (1979): parts are merged without loss of digits.
        mean, total = rows.mean(axis=0), self._rows + len(rows)
        delta = mean - self._mean
        self._squares += np.square(rows - mean).sum(axis=0)
        self._squares += np.square(delta) * (self._rows * len(rows) / total)
        self._mean += delta * (len(rows) / total)
        self._rows = total
        self._least = min(self._least, float(rows.min()))
        self._most = max(self._most, float(rows.max()))

    def result(self) -> SampleStatistics:
        """Of all samples so far."""
        count = self._rows or np.nan
        mean, variance = self._mean * (count / count), self._squares / count
        steps = self._steps
        return SampleStatistics(
            spec=self._spec,
            present=self._present,
            absent=self._absent,
            least=self._least if self._rows else np.nan,
            most=self._most if self._rows else np.nan,
            mean=float(mean.mean()),
            std=float(np.sqrt(variance.mean() + mean.var())),
            column_mean=mean,
            column_std=np.sqrt(variance),
            steps=(min(steps), float(np.mean(steps)), max(steps)) if steps else None,
        )


def real_rows(sample: Any) -> np.ndarray:
    """All values of a sample, float64 ``[n, D]``, of which a sequence's real steps alone.

    Args:
      sample: an array ``[..., D]``, or a tree with a mask; of tokens D is 1.
    """
    if isinstance(sample, dict):
        found = sample["tokens"][:, np.newaxis] if "tokens" in sample else sample["values"]
        return found[sample["mask"]].astype(np.float64)
    return sample.reshape(-1, sample.shape[-1]).astype(np.float64)
