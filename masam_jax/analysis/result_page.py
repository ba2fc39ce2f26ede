"""Tables and plots of several runs as files: Markdown, LaTeX, CSV, PNG, SVG, and an HTML page."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from masam_jax.analysis.html_pages import drawing, load_template
from masam_jax.analysis.markdown import escape_markdown
from masam_jax.analysis.plots import write_plot, write_svg
from masam_jax.analysis.result_table import Cell, ResultTable
from masam_jax.analysis.sort_keys import sort_key
from masam_jax.analysis.style import Plot
from masam_jax.analysis.themed_svg import theme_css
from masam_jax.training.storage.atomic_files import write_text

RESULT_PAGE = "report.html"
RESULT_TABLES = "tables.md"


@dataclass(frozen=True)
class ResultPage:
    """What is shown together.

    Attributes:
      heading: a line.
      remarks: sentences about what was found; they stand out.
      note: a sentence about how.
      facts: names and values of what was run.
      tables: in their order, each with a name of its own.
      plots: likewise.
      command: that makes the page again; empty for none.
      kicker: what kind of page it is, in a word or two.
    """

    heading: str
    remarks: tuple[str, ...] = ()
    note: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    tables: tuple[ResultTable, ...] = ()
    plots: tuple[Plot, ...] = ()
    command: str = ""
    kicker: str = "report"


def save_result_page(page: ResultPage, directory: str | Path) -> Path:
    """Writes a page and all that is in it as files of their own.

    ``report.html`` asks nothing of the network. ``tables.md`` has every table; each one is a CSV
    with numbers in full precision and a booktabs tabular besides, by its name. The plots are PNG
    and SVG files in ``plots/``.

    Args:
      page: what is shown.
      directory: made where it is not there.

    Returns:
      The HTML page's path.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / RESULT_TABLES, _markdown(page))
    for table in page.tables:
        write_text(folder / f"{table.name}.csv", table.csv())
        write_text(folder / f"{table.name}.tex", table.latex())
    for plot in page.plots:
        write_plot(plot, folder / "plots")
        write_svg(plot, folder / "plots")
    write_text(folder / RESULT_PAGE, load_template("result_page.html.j2").render(_shown(page)))
    return folder / RESULT_PAGE


def _markdown(page: ResultPage) -> str:
    parts = [f"# {escape_markdown(page.heading)}", *map(escape_markdown, page.remarks)]
    parts += [f"> {escape_markdown(page.note)}"] if page.note else []
    for table in page.tables:
        parts += [f"## {escape_markdown(table.title)}", table.markdown().rstrip("\n")]
        parts += [escape_markdown(table.caption)] if table.caption else []
    parts += [f"![{escape_markdown(p.title)}](plots/{p.name}.png)" for p in page.plots]
    return "\n\n".join(filter(None, parts)) + "\n"


def _shown(page: ResultPage) -> dict[str, Any]:
    return {
        "heading": page.heading,
        "kicker": page.kicker,
        "remarks": page.remarks,
        "note": page.note,
        "facts": page.facts,
        "tables": [
            {
                "name": table.name,
                "title": table.title,
                "caption": table.caption,
                "headings": table.headings,
                "rows": [_sortable(row) for row in table.rows],
            }
            for table in page.tables
        ],
        "plots": [drawing(plot, f"p{place}") for place, plot in enumerate(page.plots)],
        "command": page.command,
        "light": theme_css(dark=False),
        "dark": theme_css(dark=True),
    }


def _sortable(row: Sequence[Cell]) -> list[tuple[Cell, float | None]]:
    """The cells, each with the number to sort by."""
    return [(cell, next(iter(cell.numbers.values()), sort_key(cell.text))) for cell in row]
