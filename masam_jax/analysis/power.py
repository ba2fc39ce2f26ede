r"""How many seeds a difference needs: the power of the paired t-test.

For $n$ pairs whose differences have mean $\delta$ and standard deviation $\sigma$, the statistic of
the two-sided test has a noncentral t distribution with $n - 1$ degrees of freedom and noncentrality
$\sqrt n\, \delta / \sigma$, so that with its critical value $c$ the power is

$$
P(|T| > c) = 1 - F(c) + F(-c)
$$

exactly, for normal differences.
"""

import math

import scipy.stats

POWER, LEVEL = 0.8, 0.05
# What needs more seeds is out of reach, whatever the number.
MOST_SEEDS = 100_000


def paired_power(effect: float, seeds: int, *, level: float = LEVEL) -> float:
    """The chance that a paired t-test finds a difference.

    Args:
      effect: mean difference over the standard deviation of the differences (Cohen's d_z).
      seeds: number of pairs, at least 2.
      level: of significance, two-sided.

    Returns:
      The power; `level` itself for an effect of 0.

    Raises:
      ValueError: fewer than 2 seeds, a level outside (0, 1), or an effect that is not finite.

    Examples:
      >>> round(paired_power(0.5, 34), 3)
      0.808
    """
    _check("level", level)
    if seeds < 2:
        raise ValueError(f"seeds is {seeds}; a paired test needs at least 2")
    if not math.isfinite(effect):
        raise ValueError(f"effect is {effect}; a finite number is needed")
    freedom = seeds - 1
    critical = float(scipy.stats.t.ppf(1 - level / 2, freedom))
    # Both tails at the effect's size; of a negative effect they change places.
    shift = math.sqrt(seeds) * abs(effect)
    right = scipy.stats.nct.sf(critical, freedom, shift)
    left = scipy.stats.nct.cdf(-critical, freedom, shift)
    return float(right + (left if math.isfinite(left) else 0.0))


def seeds_needed(
    difference: float, std: float, *, power: float = POWER, level: float = LEVEL
) -> int | None:
    """The least number of seeds with which a paired t-test finds a difference that often.

    Args:
      difference: the mean difference that would matter. The one that was measured is a poor choice:
        it is larger than the true one wherever it looks worth testing.
      std: standard deviation of the differences over seeds.
      power: how often it is to be found, between 0 and 1.
      level: of significance, two-sided.

    Returns:
      The number, at least 2; None for no difference, or one that needs more than 100,000.

    Raises:
      ValueError: a power or level outside (0, 1), or a negative spread.

    Examples:
      A point, where differences between two runs have a standard deviation of 1.5 points.

      >>> seeds_needed(0.01, 0.015)
      20
    """
    _check("power", power)
    _check("level", level)
    if std < 0 or not math.isfinite(std):
        raise ValueError(f"std is {std}; a number of at least 0 is needed")
    if difference == 0:
        return None
    if std == 0:
        return 2
    effect = abs(difference) / std
    fewest, enough = 2, 2
    while paired_power(effect, enough, level=level) < power:
        if enough == MOST_SEEDS:
            return None
        fewest, enough = enough + 1, min(2 * enough, MOST_SEEDS)
    while fewest < enough:
        middle = (fewest + enough) // 2
        if paired_power(effect, middle, level=level) < power:
            fewest = middle + 1
        else:
            enough = middle
    return enough


def _check(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} is {value}; it must lie strictly between 0 and 1")
