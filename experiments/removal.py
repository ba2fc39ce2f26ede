"""What each modality is worth to a network: its score less the score without the modality."""

from collections.abc import Mapping

import numpy as np
import scipy.stats

from experiments.paper import FinishedRun
from experiments.saved import measured, scores_under

ByModality = Mapping[str, np.ndarray]
"""Modality -> float64 ``[S]``, one number a seed."""

# Scores that are the same number of samples apart differ by rounding alone.
_TIE = 1e-9


def masked_costs(run: FinishedRun, name: str, modalities: tuple[str, ...]) -> dict[str, np.ndarray]:
    """What it costs a trained network that the test samples lack a modality, fractions ``[S]``.

    What is missing is zeros after standardisation, the mean of the training samples.

    Args:
      run: the run.
      name: the method, in its plan.
      modalities: of the run.
    """

    def compute() -> dict[str, list[float]]:
        conditions = {m: {"missing_at_test": (m,)} for m in modalities}
        return {m: found[name] for m, found in scores_under(run, [name], conditions).items()}

    whole = np.array(run.scores(name), np.float64)
    found = measured(run, f"without-each-{run.method(name).result['slug']}", compute)
    return {m: whole - np.array(found[m], np.float64) for m in modalities}


def costliest(costs: ByModality) -> np.ndarray:
    """Bool ``[M, S]``, the modalities of the largest cost of each seed, in sorted order."""
    values = np.stack([costs[m] for m in sorted(costs)])
    return values >= values.max(axis=0) - _TIE


def named(values: ByModality) -> np.ndarray:
    """Int ``[S]``, the place of the modality of the largest value; of equal ones the first."""
    return np.argmax(np.stack([values[m] for m in sorted(values)]), axis=0)


def hits(values: ByModality, costs: ByModality) -> np.ndarray:
    """Bool ``[S]``, whether the modality of the largest value is one whose removal costs most.

    Several of one largest value name nobody, which is no hit.
    """
    stacked = np.stack([values[m] for m in sorted(values)])
    names_one = (stacked == stacked.max(axis=0)).sum(axis=0) == 1
    chosen = named(values)
    return costliest(costs)[chosen, np.arange(len(chosen))] & names_one


def regret(values: ByModality, costs: ByModality) -> np.ndarray:
    """``[S]``, how much less the removal of the modality of the largest value costs than the most.

    In the units of the costs; 0 where it is the one.
    """
    stacked = np.stack([costs[m] for m in sorted(costs)])
    chosen = named(values)
    return stacked.max(axis=0) - stacked[chosen, np.arange(len(chosen))]


def chance(costs: ByModality) -> float:
    """The expected share of hits of a modality drawn at random."""
    return float(costliest(costs).mean())


def share_interval(found: np.ndarray) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, of its draws ``[n]``."""
    test = scipy.stats.binomtest(int(found.sum()), int(found.size))
    interval = test.proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
