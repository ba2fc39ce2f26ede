"""What a step of each method costs, × late fusion, in the networks of each data set.

    masam experiment cost

FLOPs are XLA's estimate of the compiled step of all seeds. Time is that of the main table's runs,
each method trained once, with evaluation, and so only as good as the machine was idle; ``make
bench`` measures steps alone, in turns. The runs are the main table's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from experiments.alone import run_alone
from experiments.arithmetic_floor import floor
from experiments.main_table import plan, title_of
from experiments.paper import Findings, FinishedRun, PaperExperiment, Scale
from experiments.verdict import BASELINE
from masam_jax.analysis.formatting import number, rate
from masam_jax.analysis.result_table import Cell, ResultTable, number_cell, text_cell

_LATE = "late_fusion"
_MASAM, _SAM = "masam", "sam"


def conclude(runs: Sequence[FinishedRun], scale: Scale) -> Findings:
    """A table for each data set."""
    return Findings(tuple(map(_remark, runs)), tuple(map(_table, runs)))


def _table(run: FinishedRun) -> ResultTable:
    late = run.method(_LATE).result
    rows = []
    for name in run.planned.methods:
        result = run.method(name).result
        rows.append(
            (
                text_cell(title_of(name)),
                number_cell(_ratio(result, late, "flops_per_step")),
                number_cell(_ratio(late, result, "steps_per_second")),
                _rate(result.get("steps_per_second")),
                number_cell(result.get("compile_seconds"), 1),
            )
        )
    return ResultTable(
        f"cost-{run.planned.slug}",
        f"Cost on {run.planned.dataset}",
        ("Method", "FLOPs ×", "Time ×", "Steps/s", "Compiling, s"),
        tuple(rows),
        f"× {BASELINE}, of one training step of {len(late['seeds'])} seeds together."
        " Time holds evaluation too, and was measured once; programs that were kept from an earlier"
        " run compile in no time.",
    )


def _ratio(above: Mapping[str, Any], below: Mapping[str, Any], key: str) -> float | None:
    numerator, denominator = above.get(key), below.get(key)
    return numerator / denominator if numerator and denominator else None


def _rate(value: float | None) -> Cell:
    return Cell(rate(value), {"": value})


def _remark(run: FinishedRun) -> str:
    late = run.method(_LATE).result
    masam, sam = (
        number(_ratio(run.method(name).result, late, "flops_per_step")) for name in (_MASAM, _SAM)
    )
    count = len(run.record.results["modalities"])
    return (
        f"On {run.planned.dataset}, of {count} modalities, a step of MASAM takes {masam} × late"
        f" fusion's FLOPs and one of SAM {sam} ×; the arithmetic floor of MASAM, (5M + 3) / 3M, is"
        f" {number(floor(count))}."
    )


EXPERIMENT = PaperExperiment(
    "cost", "What does a step of each method cost, × late fusion?", plan, conclude
)

if __name__ == "__main__":
    run_alone(EXPERIMENT)
