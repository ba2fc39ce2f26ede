"""Puts what ``make tpu`` wrote into ``docs/tpu.md``: what was compiled, and the projection of it.

python -m experiments.tpu_page docs/tpu.json
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from experiments import weak_scaling
from experiments.arithmetic_floor import floor
from experiments.compiled_cost import CompiledCost
from experiments.compiled_rows import Row, read_file
from experiments.core_steps import BASELINE
from masam_jax.training.storage.atomic_files import write_text

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tpu.md"
_BLOCK = r"(<!-- {} -->\n).*?(\n<!-- end -->)"


def filled(page: str, rows: Sequence[Row]) -> str:
    """The page with its two blocks filled.

    Raises:
      ValueError: the page lacks one of them.
    """
    blocks = {
        "compiled": compiled_tables(rows),
        "projected": weak_scaling.table(weak_scaling.projections(rows)),
    }
    for name, text in blocks.items():
        page, found = re.subn(
            _BLOCK.format(name),
            lambda match, text=text: f"{match[1]}\n{text}\n{match[2]}",  # type: ignore[misc]
            page,
            flags=re.DOTALL,
        )
        if found != 1:
            raise ValueError(f"the page has {found} blocks <!-- {name} --> … <!-- end -->, not one")
    return page


def compiled_tables(rows: Sequence[Row]) -> str:
    """A table for each group, of every step × late fusion, in Markdown."""
    baselines = {row.group: row.cost for row in rows if row.step == BASELINE}
    parts = []
    for group, baseline in baselines.items():
        lines = [
            f"**{group.words}** (floor × {floor(group.modalities):.2f})",
            "",
            "| step | GFLOP | × | bytes accessed × | peak, MiB | × | collectives | their bytes × |"
            " compiling, CPU s | × |",
            "|" + "---|" * 10,
            *(_line(row, baseline) for row in rows if row.group == group),
        ]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _line(row: Row, baseline: CompiledCost) -> str:
    cost, seconds, below = row.cost, row.cost.compile_seconds, baseline.compile_seconds
    cells = (
        row.step,
        f"{cost.flops / 1e9:.1f}",
        f"{cost.flops / baseline.flops:.3f}",
        f"{cost.bytes_accessed / baseline.bytes_accessed:.2f}",
        f"{cost.peak_bytes / 2**20:.0f}",
        f"{cost.peak_bytes / baseline.peak_bytes:.2f}",
        str(cost.collectives),
        f"{cost.collective_bytes / baseline.collective_bytes:.2f}",
        "" if seconds is None else f"{seconds:.0f}",
        f"{seconds / below:.2f}" if seconds is not None and below else "",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=Path, help="what make tpu wrote")
    found = read_file(parser.parse_args().rows)
    write_text(PAGE, filled(PAGE.read_text(encoding="utf-8"), found))
