"""Seed statistics: mean ± standard deviation, and tests paired by seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

# Float32 metrics of equal worth differ by about 1e-7 of their size once they are float64.
RELATIVE_RESOLUTION = 1e-6


@dataclass(frozen=True)
class Summary:
    """Mean and spread of one metric over seeds.

    Attributes:
      mean: arithmetic mean; ``None`` where any value is not finite (a seed diverged).
      std: sample standard deviation (ddof = 1); ``None`` with one seed or without a mean.
      count: number of seeds.
    """

    mean: float | None
    std: float | None
    count: int


@dataclass(frozen=True)
class PairedTest:
    """A method against a baseline on the same seeds; differences are ``values - baseline``.

    Whatever is not defined is ``None``, never NaN: everything where a value is not finite, the
    spread and both tests with one seed, the t-test where all differences are equal and not 0.

    Attributes:
      mean_difference: mean over seeds.
      std_difference: sample standard deviation (ddof = 1) over seeds.
      t_statistic: of the paired t-test, ``count - 1`` degrees of freedom.
      p_value: two-sided, of the paired t-test; 1 for identical samples.
      wilcoxon_p_value: two-sided, of Wilcoxon's signed-rank test; 1 for identical samples.
      count: number of pairs.
    """

    mean_difference: float | None
    std_difference: float | None
    t_statistic: float | None
    p_value: float | None
    wilcoxon_p_value: float | None
    count: int

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Student's confidence interval of the mean difference.

        Args:
          level: coverage, between 0 and 1.

        Returns:
          Lower and upper end; ``None`` where the spread is not defined.

        Raises:
          ValueError: if ``level`` is not strictly between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f"level is {level}; it must lie strictly between 0 and 1")
        if self.mean_difference is None or self.std_difference is None:
            return None
        quantile = float(scipy.stats.t.ppf(0.5 + level / 2, self.count - 1))
        half_width = quantile * self.std_difference / math.sqrt(self.count)
        return self.mean_difference - half_width, self.mean_difference + half_width


def summarize(values: Sequence[float | None]) -> Summary:
    """Mean and sample standard deviation over seeds.

    Args:
      values: one number per seed; ``None`` counts as not finite.

    Returns:
      The summary, with ``None`` for what is not defined.

    Raises:
      ValueError: if there is no value.

    Examples:
      >>> summarize([1.0, 2.0, 3.0])
      Summary(mean=2.0, std=1.0, count=3)
      >>> summarize([0.5])
      Summary(mean=0.5, std=None, count=1)
    """
    array = _as_vector("values", values)
    if not np.isfinite(array).all():
        return Summary(None, None, array.size)
    std = float(array.std(ddof=1)) if array.size > 1 else None
    return Summary(float(array.mean()), std, array.size)


def paired_test(values: Sequence[float | None], baseline: Sequence[float | None]) -> PairedTest:
    """Paired t-test and Wilcoxon signed-rank test, two-sided.

    Differences below 1e-6 of the largest value are ties: they are float32 rounding. Wilcoxon's
    p-value is exact up to 50 seeds without ties and up to 13 with them, and asymptotic beyond
    (SciPy's ``method="auto"``); zero differences are dropped, as Wilcoxon did.

    Args:
      values: the method's metric, one number per seed.
      baseline: the baseline's metric on the same seeds, in the same order.

    Returns:
      The test's result, with ``None`` for what is not defined.

    Raises:
      ValueError: if there is no value, or the lengths differ.
    """
    ours, theirs = _pairs(values, baseline)
    count = ours.size
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return PairedTest(None, None, None, None, None, count)
    difference = ours - theirs
    resolution = _resolution(ours, theirs)
    mean = float(difference.mean())
    if count == 1:
        return PairedTest(mean, None, None, None, None, count)
    std = float(difference.std(ddof=1))
    if (np.abs(difference) <= resolution).all():
        return PairedTest(0.0, 0.0, 0.0, 1.0, 1.0, count)
    wilcoxon = float(scipy.stats.wilcoxon(_signed_ranks(difference, resolution)).pvalue)
    if np.ptp(difference) <= resolution:
        # Without spread t is infinite; coarse metrics and few seeds do that, not certainty.
        return PairedTest(mean, 0.0, None, None, wilcoxon, count)
    t_test = scipy.stats.ttest_rel(ours, theirs)
    return PairedTest(mean, std, float(t_test.statistic), float(t_test.pvalue), wilcoxon, count)


def paired_differences(
    values: Sequence[float | None], baseline: Sequence[float | None]
) -> np.ndarray | None:
    """Differences ``values - baseline``, float64 ``[S]``, without what is float32 rounding.

    Those that differ by less than 1e-6 of the largest value are equal, as in `paired_test`.

    Args:
      values: the method's metric, one number per seed.
      baseline: the baseline's on the same seeds, in the same order.

    Returns:
      The differences; ``None`` where a value is not finite.

    Raises:
      ValueError: if there is no value, or the lengths differ.
    """
    ours, theirs = _pairs(values, baseline)
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return None
    difference, resolution = ours - theirs, _resolution(ours, theirs)
    if (np.abs(difference) <= resolution).all():
        return np.zeros_like(difference)
    if np.ptp(difference) <= resolution:
        return np.full_like(difference, difference.mean())
    return difference


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of p-values for the number of comparisons made.

    Args:
      p_values: one p-value per comparison.

    Returns:
      Adjusted p-values in the same order, none above 1.

    Examples:
      >>> holm([0.01, 0.04, 0.03])
      [0.03, 0.06, 0.06]

    References:
      Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _pairs(
    values: Sequence[float | None], baseline: Sequence[float | None]
) -> tuple[np.ndarray, np.ndarray]:
    ours, theirs = _as_vector("values", values), _as_vector("baseline", baseline)
    if theirs.size != ours.size:
        raise ValueError(
            f"values has {ours.size} seeds and baseline has {theirs.size}; a paired test needs one "
            "value of each per seed"
        )
    return ours, theirs


def _resolution(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Differences of so much are rounding."""
    return RELATIVE_RESOLUTION * float(max(np.abs(ours).max(), np.abs(theirs).max()))


def _as_vector(name: str, values: Sequence[float | None]) -> np.ndarray:
    array = np.array([math.nan if v is None else v for v in values], dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}; at least one number per seed is needed")
    return array


def _signed_ranks(difference: np.ndarray, resolution: float) -> np.ndarray:
    """Dense signed ranks in which magnitudes closer than ``resolution`` are exact ties."""
    magnitude = np.abs(difference)
    order = np.argsort(magnitude, kind="stable")
    steps = np.diff(magnitude[order], prepend=0.0) > resolution
    ranks = np.empty(difference.size, np.float64)
    ranks[order] = np.cumsum(steps)
    return np.sign(difference) * ranks
