"""What the study's differences say: one family of tests, corrected together."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from experiments.study_measurements import CaseMeasurements
from experiments.study_methods import ALONE, LATE_FUSION, RECOMMENDED
from masam_jax.analysis import holm, paired_test
from masam_jax.analysis.paired_evidence import effect_size, noninferiority_test
from masam_jax.analysis.statistics import paired_differences

MARGIN, LEVEL, BETTER_LEVEL, LEAST_BETTER = 0.003, 0.05, 0.01, 3
"""Of a score, .3 points; of the test against it; of being better after Holm; on how many sets."""
CLAIMED = (RECOMMENDED, ALONE)
"""Methods without a tuned option that could be a default; the study was made for the first."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """A method against late fusion with unimodal losses, in one case.

    Attributes:
      mean: of the differences, fractions; None where a seed diverged.
      interval: Student's, 95 %.
      p_value: of the paired t-test, two-sided.
      corrected: the same after Holm's correction over the whole study.
      hedges: effect size.
      not_worse: p of the one-sided test against a loss of `MARGIN`.
    """

    mean: float | None
    interval: tuple[float, float] | None
    p_value: float | None
    corrected: float | None
    hedges: float | None
    not_worse: float | None


Compared = tuple[str, str, str]
"""Data set, case, method."""


def place_of(case: CaseMeasurements, method: str) -> Compared:
    """Where a method's difference is found."""
    return case.dataset, case.case, method


def differences(cases: Sequence[CaseMeasurements]) -> dict[Compared, Difference]:
    """Every method of every case against late fusion, Holm's correction over all of them."""
    found: dict[Compared, Difference] = {}
    for case in cases:
        baseline = case.scores(LATE_FUSION)
        for method in case.methods:
            if method != LATE_FUSION:
                found[place_of(case, method)] = _difference(case.scores(method), baseline)
    tested = {place: d.p_value for place, d in found.items() if d.p_value is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True)) if tested else {}
    return {
        place: dataclasses.replace(each, corrected=corrected.get(place))
        for place, each in found.items()
    }


def _difference(scores: Sequence[float | None], baseline: Sequence[float | None]) -> Difference:
    test = paired_test(scores, baseline)
    each = paired_differences(scores, baseline)
    effect = not_worse = None
    if each is not None and each.size > 1:
        effect, not_worse = effect_size(each), noninferiority_test(each, MARGIN)
    hedges = None if effect is None else effect.hedges
    return Difference(test.mean_difference, test.interval(), test.p_value, None, hedges, not_worse)


@dataclasses.dataclass(frozen=True)
class Claim:
    """Whether a method, untuned, does what a default should.

    Attributes:
      method: its name in the study.
      not_worse: cases in which it is at least as good as late fusion, but for `MARGIN`.
      better: those in which it is better at `BETTER_LEVEL` after Holm.
      cases: all of them, as ``(data set, case)``.
    """

    method: str
    not_worse: tuple[tuple[str, str], ...]
    better: tuple[tuple[str, str], ...]
    cases: tuple[tuple[str, str], ...]

    @property
    def holds(self) -> bool:
        """At least as good in every case, and better on `LEAST_BETTER` data sets at least."""
        sets = {dataset for dataset, _ in self.better}
        return set(self.not_worse) == set(self.cases) and len(sets) >= LEAST_BETTER

    @property
    def sentence(self) -> str:
        """What came out, in words."""
        missed = [case for case in self.cases if case not in self.not_worse]
        words = (
            f"{self.method!r}, untuned, is at least as good as late fusion (one-sided t-test"
            f" against -{100 * MARGIN:g} points, p < {LEVEL:g}) in {len(self.not_worse)} of"
            f" {len(self.cases)} cases of open data, and better (p < {BETTER_LEVEL:g} after Holm's"
            f" correction over the study) in {len(self.better)}, of"
            f" {len({dataset for dataset, _ in self.better})} data sets"
        )
        words += f": {_listed(self.better)}." if self.better else "."
        if missed:
            words += f" Not shown in: {_listed(missed)}."
        return f"{words} The claim {'holds' if self.holds else 'does not hold'}."


def _listed(cases: Iterable[tuple[str, str]]) -> str:
    return "; ".join(", ".join(case) for case in cases)


def claim(
    found: Mapping[Compared, Difference], open_sets: Iterable[str], method: str = RECOMMENDED
) -> Claim:
    """Of one method, over its cases of open data."""
    sets = set(open_sets)
    own = {
        (dataset, label): each
        for (dataset, label, name), each in found.items()
        if name == method and dataset in sets
    }
    not_worse = tuple(
        case for case, each in own.items() if each.not_worse is not None and each.not_worse < LEVEL
    )
    better = tuple(
        case
        for case, each in own.items()
        if each.corrected is not None
        and each.corrected < BETTER_LEVEL
        and each.mean is not None
        and each.mean > 0
    )
    return Claim(method, not_worse, better, tuple(own))
