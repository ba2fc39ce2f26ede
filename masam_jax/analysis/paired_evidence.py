"""How large a paired difference is, how sure, and whether it is as good as none.

A p-value answers one question alone: whether chance explains the difference. Beside it stand here
an interval that assumes no normal distribution, effect sizes, the number of seeds that a difference
of the margin needs, and a test that two methods are *equal* within that margin, which a large
p-value does not show.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.stats

from masam_jax.analysis.power import seeds_needed
from masam_jax.analysis.statistics import paired_differences

EQUIVALENCE_MARGIN = 0.01
"""What counts as equal unless another margin is stated: a percentage point."""

_RESAMPLES = 9999


@dataclass(frozen=True)
class EffectSize:
    """A paired difference in units of its own spread over seeds.

    Attributes:
      d_z: Cohen's d_z, mean difference over the sample standard deviation of the differences.
      hedges: d_z times Hedges' correction, which takes off its bias at few seeds.
    """

    d_z: float
    hedges: float


@dataclass(frozen=True)
class EquivalenceTest:
    """Two one-sided t-tests (TOST): whether a difference lies within ± a margin.

    Attributes:
      margin: largest difference that counts as none.
      p_value: the larger one of both tests'; small values say that the methods are equal.
    """

    margin: float
    p_value: float


@dataclass(frozen=True)
class PairedEvidence:
    """What differences of a method to a baseline say beside the paired tests.

    ``None`` for what is not defined: everything where a seed diverged or is the only one, effect
    sizes and equivalence where all differences are equal.

    Attributes:
      interval: bootstrap interval of the mean difference, 95 %.
      effect: effect sizes.
      equivalence: whether it lies within the margin.
      seeds_needed: seeds with which a difference of the margin would be found four times of five,
        if differences spread as these do.
    """

    interval: tuple[float, float] | None = None
    effect: EffectSize | None = None
    equivalence: EquivalenceTest | None = None
    seeds_needed: int | None = None


def paired_evidence(
    values: Sequence[float | None],
    baseline: Sequence[float | None],
    *,
    margin: float = EQUIVALENCE_MARGIN,
) -> PairedEvidence:
    """All of it, for one method against the baseline on the same seeds.

    Args:
      values: the method's metric, one number per seed.
      baseline: the baseline's on the same seeds, in the same order.
      margin: see `EquivalenceTest`.

    Raises:
      ValueError: there is no value, the lengths differ, or the margin is not above 0.
    """
    differences = paired_differences(values, baseline)
    if differences is None or differences.size < 2:
        return PairedEvidence()
    return PairedEvidence(
        bootstrap_interval(differences),
        effect_size(differences),
        equivalence_test(differences, margin),
        seeds_needed(margin, float(differences.std(ddof=1))),
    )


def bootstrap_interval(
    differences: Sequence[float] | np.ndarray,
    *,
    level: float = 0.95,
    method: Literal["bca", "percentile"] = "bca",
    resamples: int = _RESAMPLES,
    seed: int = 0,
) -> tuple[float, float] | None:
    """An interval of the mean over seeds, from resampled seeds.

    Pairs stay pairs, since what is resampled are their differences. With fewer than ten seeds any
    bootstrap interval is too narrow; Student's (`PairedTest.interval`) is the one to trust there.

    Args:
      differences: one per seed, at least 2.
      level: coverage, between 0 and 1.
      method: ``bca``, corrected for bias and skew, or ``percentile``.
      resamples: how many samples are drawn.
      seed: of the draws; the same differences give the same interval.

    Returns:
      Lower and upper end, within the range of the differences; None where BCa is undefined.

    Raises:
      ValueError: fewer than 2 differences, one that is not finite, or a level outside (0, 1).

    References:
      Efron, "Better bootstrap confidence intervals", JASA 1987.
    """
    values = _finite(differences)
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie strictly between 0 and 1")
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    with warnings.catch_warnings():
        # Of degenerate resamples; the ends are NaN then.
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        found = scipy.stats.bootstrap(
            (values,),
            np.mean,
            n_resamples=resamples,
            confidence_level=level,
            method={"bca": "BCa", "percentile": "percentile"}[method],
            rng=np.random.default_rng(seed),
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def effect_size(differences: Sequence[float] | np.ndarray) -> EffectSize | None:
    r"""Cohen's d_z of paired differences, and Hedges' corrected one.

    $$
    g = J(n - 1)\, d_z, \qquad
    J(\nu) = \frac{\Gamma(\nu/2)}{\sqrt{\nu/2}\; \Gamma((\nu - 1)/2)}
    $$

    Args:
      differences: one per seed, at least 2.

    Returns:
      Both; None where all differences are equal, and no finite number says how large they are. With
      2 seeds J is 0, and so is g.

    Raises:
      ValueError: as `bootstrap_interval`.

    References:
      Hedges, "Distribution theory for Glass's estimator of effect size", 1981.
    """
    values = _finite(differences)
    if np.ptp(values) == 0:
        return None
    d_z = float(values.mean() / values.std(ddof=1))
    freedom = values.size - 1
    if freedom == 1:  # Γ has a pole there.
        return EffectSize(d_z, 0.0)
    logarithm = math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)
    return EffectSize(d_z, d_z * math.exp(logarithm) / math.sqrt(freedom / 2))


def equivalence_test(
    differences: Sequence[float] | np.ndarray, margin: float
) -> EquivalenceTest | None:
    """Two one-sided t-tests of paired differences against ± a margin.

    The methods count as equal at level α where the p-value is below it, which is where Student's
    interval with coverage 1 - 2α lies within the margin. The margin is to be stated before looking.

    Args:
      differences: one per seed, at least 2.
      margin: largest difference that counts as none, above 0.

    Returns:
      The test; None where all differences are equal.

    Raises:
      ValueError: as `bootstrap_interval`, or the margin is not above 0.

    References:
      Schuirmann, "A comparison of the two one-sided tests procedure and the power approach", 1987.
    """
    values = _finite(differences)
    if not (margin > 0 and math.isfinite(margin)):
        raise ValueError(f"margin is {margin}; a number above 0 is needed")
    if np.ptp(values) == 0:
        return None
    above = scipy.stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    below = scipy.stats.ttest_1samp(values, margin, alternative="less").pvalue
    return EquivalenceTest(margin, float(max(above, below)))


def noninferiority_test(differences: Sequence[float] | np.ndarray, margin: float) -> float | None:
    """P of the one-sided t-test that a method is worse than its baseline by the margin or more.

    Below α it is at least as good, but for the margin: the lower one of `equivalence_test`'s two.

    Args:
      differences: method - baseline, one per seed, at least 2.
      margin: largest loss that counts as none, above 0; to be stated before looking.

    Returns:
      The p-value; None where all differences are equal, but for 0 where all are zero, as of a
      method that is the baseline by another name.

    Raises:
      ValueError: as `equivalence_test`.
    """
    values = _finite(differences)
    if not (margin > 0 and math.isfinite(margin)):
        raise ValueError(f"margin is {margin}; a number above 0 is needed")
    if np.ptp(values) == 0:
        return None if values.any() else 0.0
    return float(scipy.stats.ttest_1samp(values, -margin, alternative="greater").pvalue)


def _finite(differences: Sequence[float] | np.ndarray) -> np.ndarray:
    values = np.asarray(differences, np.float64)
    if values.ndim != 1 or values.size < 2:
        raise ValueError(
            f"differences has shape {values.shape}; a number for each of at least 2 seeds is needed"
        )
    if not np.isfinite(values).all():
        raise ValueError("differences has a number that is not finite; leave diverged runs out")
    return values
