"""Tables of any shape, as Markdown, LaTeX and CSV: of several runs, and of experiments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rich import box
from rich.table import Table
from rich.text import Text

from masam_jax.analysis import formatting
from masam_jax.analysis.latex import escape, tabular
from masam_jax.analysis.markdown import escape_markdown
from masam_jax.analysis.statistics import Summary
from masam_jax.analysis.table_formats import markdown_table
from masam_jax.training.storage.csv_text import csv_text


@dataclass(frozen=True)
class Cell:
    """What one place of a table holds.

    Attributes:
      text: as a reader sees it.
      numbers: in full precision, by what is put after the heading in the CSV: "" for the number
        itself, "mean" and "std"; none of text.
      is_best: whether it is in bold.
    """

    text: str
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    is_best: bool = False


@dataclass(frozen=True)
class ResultTable:
    """A table that writes itself; all rows have a cell for every heading.

    Attributes:
      name: file name without suffix.
      title: a heading.
      headings: of the columns, that of the rows' names first.
      rows: the cells, a row's name first.
      caption: what is shown, with units.
    """

    name: str
    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.headings):
                raise ValueError(
                    f"table {self.name!r} has {len(self.headings)} headings and a row of {len(row)}"
                )

    def markdown(self) -> str:
        """A Markdown table, what is best in bold; empty without rows."""
        if not self.rows:
            return ""
        lines = [[_bold(escape_markdown(c.text), "**{}**", c) for c in row] for row in self.rows]
        return markdown_table(list(map(escape_markdown, self.headings)), lines)

    def latex(self) -> str:
        """A booktabs tabular, what is best in bold; empty without rows."""
        if not self.rows:
            return ""
        lines = [[_bold(escape(c.text), r"\textbf{{{}}}", c) for c in row] for row in self.rows]
        notes = [r"% Needs \usepackage{booktabs}.", *(f"% {escape(self.title)}.",)]
        notes += [f"% {escape(self.caption)}"] if self.caption else []
        return tabular(notes, list(map(escape, self.headings)), lines)

    def csv(self) -> str:
        """Comma-separated, numbers in full precision, what is undefined empty."""
        suffixes = [self._suffixes(place) for place in range(len(self.headings))]
        head = [
            f"{heading} {suffix}".strip()
            for heading, found in zip(self.headings, suffixes, strict=True)
            for suffix in found or ("",)
        ]
        lines = [
            [
                value
                for cell, found in zip(row, suffixes, strict=True)
                for value in ([cell.numbers.get(s) for s in found] if found else [cell.text])
            ]
            for row in self.rows
        ]
        return csv_text([head, *lines])

    def rich(self) -> Table:
        """A table for the terminal, what is best in bold."""
        shown = Table(title=Text(self.title), title_justify="left", box=box.SIMPLE_HEAD)
        for place, heading in enumerate(self.headings):
            shown.add_column(Text(heading), justify="right" if place else "left", overflow="fold")
        for row in self.rows:
            # Text, not markup: names may have brackets.
            shown.add_row(*(Text(c.text, style="bold" if c.is_best else "") for c in row))
        return shown

    def _suffixes(self, place: int) -> tuple[str, ...]:
        """What the numbers of a column are called; none where it has text alone."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row[place].numbers))


def text_cell(text: str) -> Cell:
    """Words."""
    return Cell(text)


def number_cell(value: float | None, decimals: int = 2, *, signed: bool = False) -> Cell:
    """A number; a dash for what is undefined.

    Examples:
      >>> number_cell(1.5).text, number_cell(None).text
      ('1.50', '—')
    """
    return Cell(formatting.number(value, decimals, signed=signed), {"": value})


def summary_cell(
    summary: Summary, decimals: int = 2, *, scale: float = 1.0, signed: bool = False
) -> Cell:
    """Mean ± standard deviation; of fractions in percent with ``scale=100``.

    Examples:
      >>> summary_cell(Summary(0.9312, 0.0058, 16), scale=100).text
      '93.12 ± 0.58'
    """
    return Cell(
        formatting.mean_and_std(summary, decimals, scale=scale, signed=signed),
        {"mean": summary.mean, "std": summary.std},
    )


def interval_cell(
    mean: float | None,
    interval: tuple[float, float] | None,
    decimals: int = 2,
    *,
    scale: float = 1.0,
    signed: bool = False,
) -> Cell:
    """A mean with its interval, in brackets.

    Examples:
      >>> interval_cell(0.012, (0.004, 0.02), scale=100, signed=True).text
      '+1.20 [+0.40, +2.00]'
      >>> interval_cell(0.012, None, scale=100).text
      '1.20'
    """
    shown = formatting.number(None if mean is None else mean * scale, decimals, signed=signed)
    low, high = interval or (None, None)
    if interval is not None:
        ends = (formatting.number(end * scale, decimals, signed=signed) for end in interval)
        shown += f" [{', '.join(ends)}]"
    return Cell(shown, {"mean": mean, "low": low, "high": high})


def score_table(
    name: str,
    title: str,
    scores: Mapping[str, Mapping[str, Summary]],
    *,
    heading: str = "Method",
    columns: Sequence[str] | None = None,
    caption: str = "",
    best: bool = True,
) -> ResultTable:
    """A table of scores, fractions in percent, the best of each column in bold.

    Args:
      name: file name without suffix.
      title: a heading.
      scores: the row's name -> the column's heading -> the score; where a row lacks one there is a
        dash.
      heading: of the rows' names.
      columns: headings in their order; that in which they are met when None.
      caption: what is shown.
      best: whether anything is in bold.
    """
    if columns is None:
        columns = list(dict.fromkeys(column for row in scores.values() for column in row))
    rows = [
        (
            text_cell(row),
            *(summary_cell(found[c], scale=100) if c in found else _NOTHING for c in columns),
        )
        for row, found in scores.items()
    ]
    shown = tuple(rows)
    if best:
        for place in range(1, len(columns) + 1):
            shown = with_best(shown, place)
    return ResultTable(name, title, (heading, *columns), shown, caption)


def with_best(
    rows: Sequence[tuple[Cell, ...]], place: int, *, of: str = "mean", lowest: bool = False
) -> tuple[tuple[Cell, ...], ...]:
    """The rows with the best cell of a column marked; none where there is no choice.

    Args:
      rows: cells.
      place: of the column.
      of: which of the cell's numbers counts.
      lowest: whether less is better.
    """
    values = [row[place].numbers.get(of) for row in rows]
    finite = [value for value in values if value is not None]
    if len(finite) < 2:
        return tuple(rows)
    best = min(finite) if lowest else max(finite)
    return tuple(
        (*row[:place], replace(row[place], is_best=value == best), *row[place + 1 :])
        for row, value in zip(rows, values, strict=True)
    )


_NOTHING = Cell(formatting.DASH)


def _bold(text: str, form: str, cell: Cell) -> str:
    return form.format(text) if cell.is_best else text
