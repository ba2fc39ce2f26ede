"""Curves over seeds: a line, and a band of quantiles that never leaves the data."""

from typing import NamedTuple

import numpy as np

# From so many seeds on, a band leaves out a tenth of them on each side.
MANY_SEEDS = 10
_TAIL = 0.1


class Band(NamedTuple):
    """A line and what lies around it, float64 ``[T]`` each, NaN where nothing is to be drawn.

    Attributes:
      low: the band's lower end.
      middle: the mean, on a logarithmic axis the median.
      high: its upper end.
    """

    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray


def seed_band(values: np.ndarray, *, positive: bool = False) -> Band:
    """Mean over seeds; quantiles of 10 and 90 %, of few seeds the least and the largest value.

    Quantiles lie between seeds by linear interpolation, so no band reaches where no seed was.

    Args:
      values: ``[T, S]``; seeds that are not finite at a step are left out there.
      positive: for a logarithmic axis: the median, which a single large seed does not move. Values
        that are not above 0 have no place there: the line ends where the median is one of them,
        and the band at the least value above 0.
    """
    values = np.asarray(values, np.float64)
    tail = _TAIL if values.shape[1] >= MANY_SEEDS else 0.0
    rows = [row[np.isfinite(row)] for row in values]
    nothing = (np.nan,) * 3
    found = [np.quantile(row, (tail, 0.5, 1 - tail)) if row.size else nothing for row in rows]
    low, middle, high = np.array(found, np.float64).reshape(-1, 3).T.copy()
    if not positive:
        middle = np.array([row.mean() if row.size else np.nan for row in rows])
    else:
        least = [min(row[row > 0], default=np.nan) for row in rows]
        low = np.maximum(low, least)
        middle[~(middle > 0)] = np.nan
        high[~(high > 0)] = np.nan
        low[np.isnan(high)] = np.nan
    return Band(low, middle, high)


def band_words(seeds: int, *, positive: bool = False) -> str:
    """What a caption says of such bands.

    Examples:
      >>> band_words(16)
      'Lines: means over 16 seeds. Bands: their 10 to 90 % quantiles.'
      >>> band_words(4)
      'Lines: means over 4 seeds. Bands: from the lowest seed to the highest.'
      >>> band_words(1)
      'One seed.'
    """
    if seeds == 1:
        return "One seed."
    many = seeds >= MANY_SEEDS
    bands = "their 10 to 90 % quantiles" if many else "from the lowest seed to the highest"
    lines = "medians" if positive else "means"
    return f"Lines: {lines} over {seeds} seeds. Bands: {bands}."
