"""What each method of the study did over all cases of open data, in a line."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from experiments.study_evidence import LEVEL, MARGIN, Compared, Difference, place_of
from experiments.study_measurements import CaseMeasurements
from experiments.study_methods import LATE_FUSION
from masam_jax.analysis.formatting import number
from masam_jax.analysis.result_table import Cell, ResultTable, number_cell, text_cell


def summary_table(
    cases: Sequence[CaseMeasurements],
    found: Mapping[Compared, Difference],
    open_sets: Collection[str],
) -> ResultTable | None:
    """A row for each method that every case has.

    Args:
      cases: all of them.
      found: of `experiments.study_evidence.differences`.
      open_sets: data sets whose cases are counted.

    Returns:
      How much was gained over late fusion and how often that is shown; None without such a case.
    """
    counted = [case for case in cases if case.dataset in open_sets]
    if not counted:
        return None
    shared = [
        name
        for name in counted[0].methods
        if name != LATE_FUSION and all(name in case.methods for case in counted)
    ]
    rows = [_row(name, [found[place_of(case, name)] for case in counted]) for name in shared]
    return ResultTable(
        "study-summary",
        "What each method gains over all cases of open data",
        ("Method", "Median", "Least to most", "Better", "Worse", "At least as good"),
        tuple(rows),
        f"Points over late fusion with unimodal losses in {len(counted)} cases: median, least and"
        " most of the cases' mean differences; in how many it is better, and worse, at"
        f" p < {LEVEL:g} after Holm's correction over the study; in how many it is shown to be no"
        f" worse than by {100 * MARGIN:g} points (one-sided t-test, p < {LEVEL:g}, not corrected).",
    )


def _row(name: str, each: Sequence[Difference]) -> tuple[Cell, ...]:
    gains = [100 * d.mean for d in each if d.mean is not None]
    significant = [
        d.mean
        for d in each
        if d.mean is not None and d.corrected is not None and d.corrected < LEVEL
    ]
    as_good = sum(d.not_worse is not None and d.not_worse < LEVEL for d in each)
    median = float(np.median(gains)) if gains else None
    return (
        text_cell(name),
        number_cell(median, signed=True),
        _range(gains),
        _count(sum(mean > 0 for mean in significant)),
        _count(sum(mean < 0 for mean in significant)),
        _count(as_good),
    )


def _range(gains: Sequence[float]) -> Cell:
    if not gains:
        return Cell("—", {"least": None, "most": None})
    ends = {"least": min(gains), "most": max(gains)}
    return Cell(" to ".join(number(end, signed=True) for end in ends.values()), ends)


def _count(value: int) -> Cell:
    return Cell(str(value), {"": value})
