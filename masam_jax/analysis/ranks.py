"""Ranks of several methods over seeds: Friedman's test, and Nemenyi's critical difference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats

from masam_jax.analysis.statistics import RELATIVE_RESOLUTION

# With fewer there is nothing to rank, or no distribution of ranks to speak of.
MIN_METHODS = MIN_BLOCKS = 3


@dataclass(frozen=True)
class RankComparison:
    """Methods compared by their ranks within blocks (here: seeds).

    Attributes:
      mean_ranks: of each method, in the order given; 1 is the best.
      statistic: Friedman's χ², corrected for ties.
      p_value: of Friedman's test, from the χ² distribution; 1 if every block is one tie.
      critical_difference: mean ranks at least this far apart differ by Nemenyi's test.
      cliques: largest groups of two or more methods that are not told apart, as positions in
          the order given, best rank first.
      blocks: number of blocks.
      level: significance level of both tests.
    """

    mean_ranks: tuple[float, ...]
    statistic: float
    p_value: float
    critical_difference: float
    cliques: tuple[tuple[int, ...], ...]
    blocks: int
    level: float

    @property
    def order(self) -> list[int]:
        """Positions of the methods from the best mean rank to the worst; ties as given."""
        return _order(self.mean_ranks)


def compare_ranks(
    scores: Sequence[Sequence[float | None]], *, level: float = 0.05
) -> RankComparison:
    """Friedman's test over all methods and, where it rejects, Nemenyi's test between them.

    Two methods differ if their mean ranks are at least CD = q √(k (k + 1) / (6 N)) apart, where k
    counts methods, N blocks, and q is the studentized range's quantile at ``level`` over √2. Where
    Friedman's test does not reject, no pair is told apart and all methods form one clique.

    Nemenyi's test is used, although its verdict on a pair depends on the other methods' ranks
    (Benavoli et al. 2016, who advise pairwise signed-rank tests): the smallest two-sided p-value
    of a signed-rank test on N blocks is 2^(1 - N), so with Holm's correction for the 153 pairs of
    18 methods no pair could ever differ with fewer than 13 seeds.

    Args:
      scores: [k][N], higher is better; ``None`` or NaN (a seed diverged) is worse than any number.
          Differences below 1e-6 of a block's largest score are float32 rounding, and tie.
      level: significance level, strictly between 0 and 1.

    Returns:
      The comparison.

    Raises:
      ValueError: if there are fewer than 3 methods or 3 blocks, the methods have different
          numbers of blocks, or ``level`` is out of range.

    References:
      Demšar, "Statistical comparisons of classifiers over multiple data sets", JMLR 2006.
      Benavoli, Corani, Mangili, "Should we really use post-hoc tests based on mean-ranks?",
      JMLR 2016.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it must lie strictly between 0 and 1")
    ranks = block_ranks(scores)
    blocks, methods = ranks.shape
    if methods < MIN_METHODS or blocks < MIN_BLOCKS:
        raise ValueError(
            f"scores has {methods} methods and {blocks} blocks; at least {MIN_METHODS} and "
            f"{MIN_BLOCKS} are needed"
        )
    means = tuple(float(mean) for mean in ranks.mean(axis=0))
    statistic, p_value = _friedman(ranks)
    difference = critical_difference(methods, blocks, level)
    cliques = _cliques(means, difference) if p_value < level else (tuple(_order(means)),)
    return RankComparison(means, statistic, p_value, difference, cliques, blocks, level)


def block_ranks(scores: Sequence[Sequence[float | None]]) -> np.ndarray:
    """Ranks within each block: 1 for the highest score, ties share their average rank.

    Args:
      scores: [k][N], as in `compare_ranks`.

    Returns:
      float64 [N, k].

    Raises:
      ValueError: if there is no score, or the methods have different numbers of blocks.
    """
    counts = sorted({len(values) for values in scores})
    if len(counts) != 1 or counts[0] == 0:
        raise ValueError(
            f"the methods have {counts} scores; each needs one per block, and at least one"
        )
    table = np.array([[-math.inf if v is None else v for v in m] for m in scores], np.float64).T
    table[~np.isfinite(table)] = -math.inf
    return np.stack([scipy.stats.rankdata(-_levels(block), method="average") for block in table])


def critical_difference(methods: int, blocks: int, level: float = 0.05) -> float:
    """Nemenyi's critical difference of mean ranks.

    Examples:
      Demšar 2006, section 3.2.4: four classifiers on 14 data sets.

      >>> round(critical_difference(4, 14), 2), round(critical_difference(4, 14, 0.1), 2)
      (1.25, 1.12)
    """
    quantile = float(scipy.stats.studentized_range.ppf(1 - level, methods, math.inf))
    return quantile / math.sqrt(2) * math.sqrt(methods * (methods + 1) / (6 * blocks))


def _friedman(ranks: np.ndarray) -> tuple[float, float]:
    # A tie of all methods in every block: 0/0, and no evidence of anything.
    if (np.ptp(ranks, axis=1) == 0).all():
        return 0.0, 1.0
    statistic, p_value = scipy.stats.friedmanchisquare(*(-ranks).T)
    return float(statistic), float(p_value)


def _levels(block: np.ndarray) -> np.ndarray:
    """Scores of one block with those closer than float32 rounding made equal."""
    finite = np.abs(block[np.isfinite(block)])
    resolution = RELATIVE_RESOLUTION * (finite.max() if finite.size else 0.0)
    order = np.argsort(block, kind="stable")
    ordered = block[order]
    # Not a difference of two infinities, which is NaN.
    rises = [0.0] + [float(b > a and not b - a <= resolution) for a, b in _pairs(ordered)]
    levels = np.empty(block.size, np.float64)
    levels[order] = np.cumsum(rises)
    return levels


def _pairs(values: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(values[:-1].tolist(), values[1:].tolist(), strict=True))


def _order(mean_ranks: Sequence[float]) -> list[int]:
    return sorted(range(len(mean_ranks)), key=mean_ranks.__getitem__)


def _cliques(mean_ranks: Sequence[float], difference: float) -> tuple[tuple[int, ...], ...]:
    """Runs in the order of ranks that span less than ``difference``, none inside another."""
    order = _order(mean_ranks)
    cliques = []
    reached = 0
    for first in range(len(order)):
        last = first
        while (
            last + 1 < len(order)
            and mean_ranks[order[last + 1]] - mean_ranks[order[first]] < difference
        ):
            last += 1
        if last > first and last > reached:
            cliques.append(tuple(order[first : last + 1]))
            reached = last
    return tuple(cliques)
