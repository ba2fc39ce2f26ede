"""What more chips would make of a step, projected from its compiled program and published rates.

    python -m experiments.weak_scaling tpu.json

Nothing here is measured. One chip takes as long as its operations at the published rate, or as its
memory traffic at the published rate, whichever is longer; then every chip sends and receives
``2 (n − 1) / n`` times the bytes of its all-reduces at the published rate of all its links
together. A step is between both at once and one after the other.
"""

import argparse
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from experiments.compiled_rows import Row, read_file
from experiments.core_steps import BASELINE, SWITCH
from experiments.tpu_topologies import CHIPS

NUMBERS = (8, 256)
"""Of chips."""
STEPS = (BASELINE, "SAM", SWITCH)


@dataclasses.dataclass(frozen=True)
class Projection:
    """A step on a number of chips, each with its own samples, as many as on one.

    Attributes:
      row: the compiled program of one chip.
      chips: their number n.
      alone: seconds that a chip takes for its own part, at least.
      talking: seconds that its all-reduces take, at least.
    """

    row: Row
    chips: int
    alone: float
    talking: float

    @property
    def efficiency(self) -> tuple[float, float]:
        """Of one chip's samples a second, with collectives after all else, and behind it."""
        return self.alone / (self.alone + self.talking), self.alone / max(self.alone, self.talking)


def project(row: Row, chips: int) -> Projection:
    """A row of a data-parallel program in bfloat16, the precision of published rates.

    Raises:
      ValueError: it is of another layout or precision.
    """
    group, cost = row.group, row.cost
    if (group.layout, group.precision) != ("data", "bfloat16"):
        raise ValueError(f"published rates are of data-parallel bfloat16, not of {group.words}")
    rates = CHIPS[group.topology.partition(":")[0]]
    alone = max(cost.flops / rates.flops, cost.bytes_accessed / rates.hbm_rate)
    talking = 2 * (chips - 1) / chips * cost.collective_bytes / rates.link_rate
    return Projection(row, chips, alone, talking)


def projections(rows: Iterable[Row]) -> list[Projection]:
    """Of those rows that can be projected, two modalities each."""
    return [
        project(row, chips)
        for row in rows
        if row.step in STEPS
        and (row.group.layout, row.group.precision) == ("data", "bfloat16")
        and row.group.modalities == 2
        for chips in NUMBERS
    ]


def table(found: Sequence[Projection]) -> str:
    """In Markdown."""
    lines = [
        "| chip, network | step | FLOPs at their rate, ms | memory traffic at its rate, ms |"
        + "".join(f" all-reduce, {n} chips, ms | efficiency, {n} chips |" for n in NUMBERS),
        "|" + "---|" * (4 + 2 * len(NUMBERS)),
    ]
    by_row: dict[tuple[object, str], list[Projection]] = {}
    for each in found:
        by_row.setdefault((each.row.group, each.row.step), []).append(each)
    for (_, step), several in by_row.items():
        group, cost = several[0].row.group, several[0].row.cost
        chip = group.topology.partition(":")[0]
        cells = [
            f"{chip}, {group.network}",
            step,
            f"{1e3 * cost.flops / CHIPS[chip].flops:.2f}",
            f"{1e3 * cost.bytes_accessed / CHIPS[chip].hbm_rate:.2f}",
        ]
        for each in several:
            least, most = (f"{100 * part:.0f}" for part in each.efficiency)
            cells += [f"{1e3 * each.talking:.2f}", f"{least} to {most} %"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=Path, help="what make tpu wrote")
    print(table(projections(read_file(parser.parse_args().rows))))
