"""The result in one sentence, made from the numbers: whoever won, and whether it is certain."""

from collections.abc import Sequence

from masam_jax.analysis import formatting
from masam_jax.analysis.rows import Row
from masam_jax.training.metric_names import phrase


def headline(rows: Sequence[Row], dataset: str | None = None) -> str:
    """One sentence on a comparison table.

    The best mean score is named; against the baseline it counts as a difference only if
    the paired t-test's p-value, after Holm's correction for all comparisons in the table, is
    below 0.05.

    Args:
      rows: from `tables.comparison_table`.
      dataset: the data set's name, if it is known.

    Returns:
      The sentence.
    """
    on_data = f" on {dataset}" if dataset else ""
    baseline = next((row for row in rows if row.is_baseline), None)
    best = next((row for row in rows if row.is_best), None)
    if best is None:
        return f"No method kept finite results on every seed{on_data}; there is nothing to rank."
    metric = f"{best.split} {phrase(best.metric)}"
    if len(rows) == 1 or baseline is None:
        return f"{best.title} reached {_score(best)} {metric}{on_data}{_seeds(best)}."
    if baseline.is_best:
        return _baseline_leads(rows, baseline, on_data)
    leads = f"{best.title} has the highest {metric}{on_data}, {_score(best)}"
    if baseline.score.mean is None:
        return (
            f"{leads}{_seeds(best)}; the baseline {baseline.title} diverged, so nothing can be "
            "compared with it."
        )
    return (
        f"{leads}{_seeds(best)}: {_gap(best)} points above the baseline {baseline.title} "
        f"({_score(baseline)}), {_verdict(rows, best)}."
    )


def _baseline_leads(rows: Sequence[Row], baseline: Row, on_data: str) -> str:
    lead = (
        f"No method beats the baseline {baseline.title}{on_data}, which has {_score(baseline)} "
        f"{baseline.split} {phrase(baseline.metric)}{_seeds(baseline)}"
    )
    others = [row for row in rows if row is not baseline and row.score.mean is not None]
    if not others:
        return f"{lead}; no other method kept finite results on every seed."
    closest = max(others, key=lambda row: row.score.mean or 0.0)
    if closest.is_best:
        return f"{lead}; {closest.title} ties with it."
    return f"{lead}; {closest.title} comes closest, {_gap(closest)} points below, " + (
        f"{_verdict(rows, closest)}."
    )


def _verdict(rows: Sequence[Row], row: Row) -> str:
    """What the tests allow to say about ``row`` against the baseline."""
    test = row.difference
    if row.score.count == 1:
        return "which one seed cannot tell from chance"
    if test is None or test.p_value is None:
        return "the same on every seed, so a t-test says nothing about it"
    comparisons = sum(other.p_holm is not None for other in rows)
    values = f"paired t-test, p = {formatting.p_value(test.p_value)}"
    if comparisons > 1:
        values += (
            f", {formatting.p_value(row.p_holm)} after Holm's correction for {comparisons} "
            "comparisons"
        )
    if row.is_significant:
        return f"a significant difference ({values})"
    return f"a difference that the seeds do not tell from chance ({values})"


def _score(row: Row) -> str:
    if row.score.std is None:
        mean = row.score.mean
        return f"{formatting.number(None if mean is None else mean * 100)} %"
    return f"{formatting.percent(row.score)} %"


def _gap(row: Row) -> str:
    mean = row.difference.mean_difference if row.difference else None
    return formatting.DASH if mean is None else formatting.points(mean)


def _seeds(row: Row) -> str:
    count = row.score.count
    return " with one seed" if count == 1 else f" over {count} seeds"
