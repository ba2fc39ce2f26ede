"""Three ways to write a table: Markdown, CSV, and the terminal (LaTeX has its own file)."""

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from masam_jax.analysis.markdown import escape_markdown
from masam_jax.analysis.rows import Row, Rows, is_emphasized, shown_cells
from masam_jax.training.metric_names import phrase
from masam_jax.training.storage.csv_text import csv_text

# What a narrow terminal does without, first things first.
_DISPENSABLE = ("Probe, %", "Macro-F1, %", "Steps/s")
# Characters: the least that a method's name gets, and what separates two columns.
_NAME_WIDTH, _GAP = 16, 2


def to_markdown(rows: Rows) -> str:
    """A Markdown table, the best score in bold; empty for no rows."""
    if not rows:
        return ""
    shown = shown_cells([row.cells() for row in rows])
    lines = []
    for row, line in zip(rows, shown, strict=True):
        cells = list(map(escape_markdown, line.values()))
        if is_emphasized(row, rows):
            cells[1] = f"**{cells[1]}**"
        lines.append(cells)
    return markdown_table(list(map(escape_markdown, shown[0])), lines)


def markdown_table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table of cells that are Markdown, the first column to the left."""
    rule = [":--", *["--:"] * (len(headings) - 1)]
    return "\n".join(map(_markdown_line, [headings, rule, *lines])) + "\n"


def to_csv(rows: Rows) -> str:
    """Comma-separated numbers in full precision; undefined ones are empty fields."""
    if not rows:
        return ""
    return csv_text([rows[0].numbers(), *(row.numbers().values() for row in rows)])


def to_rich(rows: Rows, title: str | None = None, width: int = 100) -> Table:
    """A table for the terminal, the best method in bold and the baseline dimmed.

    Against Markdown it lacks the p-value before Holm's correction and the spread of the probes'
    accuracy. On less than 100 columns more is left out, which the line below the table says.

    Args:
      rows: of either table.
      title: put above; by default what the main table is about.
      width: columns of the terminal.

    Returns:
      The table to print.
    """
    table = Table(
        title=Text(title or _title(rows) or "") or None,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    if not rows:
        return table
    lines, left_out = _fitted(shown_cells([row.terminal_cells() for row in rows]), width)
    for position, heading in enumerate(lines[0]):
        first = position == 0
        table.add_column(Text(heading), justify="left" if first else "right", no_wrap=not first)
    for row, line in zip(rows, lines, strict=True):
        style = "bold" if is_emphasized(row, rows) else "dim" if row.is_baseline else None
        # Text, not markup: a title such as "MASAM [all]" would lose its brackets.
        table.add_row(*(Text(text) for text in line.values()), style=style)
    if left_out:
        table.caption = f"no room for: {'; '.join(left_out)}"
    return table


def _title(rows: Rows) -> str | None:
    if not rows or not isinstance(rows[0], Row):
        return None
    seeds = rows[0].score.count
    spread = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    return f"{rows[0].split.capitalize()} {phrase(rows[0].metric)}, {spread}"


def _fitted(lines: list[dict[str, str]], width: int) -> tuple[list[dict[str, str]], list[str]]:
    """The lines without the columns that do not fit, and the headings of those."""
    left_out: list[str] = []
    for heading in _DISPENSABLE:
        if _needed(lines) > width and heading in lines[0]:
            left_out.append(heading)
            lines = [{k: v for k, v in line.items() if k != heading} for line in lines]
    return lines, left_out


def _needed(lines: Sequence[dict[str, str]]) -> int:
    """Characters of a table whose method names may be folded, but not much."""
    widths = [max(len(h), *(len(line[h]) for line in lines)) for h in lines[0]]
    return min(widths[0], _NAME_WIDTH) + sum(widths[1:]) + _GAP * len(widths)


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
