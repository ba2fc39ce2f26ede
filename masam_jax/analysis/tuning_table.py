"""What a tuning found, as a table."""

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from masam_jax.analysis import formatting
from masam_jax.analysis.markdown import code_span, escape_markdown
from masam_jax.analysis.primary_metric import primary_metric
from masam_jax.analysis.statistics import summarize
from masam_jax.training.metric_names import phrase


def tuning_cells(best: dict[str, Any]) -> list[dict[str, str]]:
    """Column heading to text, for every method.

    Args:
      best: the content of ``best.json``.
    """
    metric = phrase(primary_metric(best))
    return [
        {
            "Method": row["method"],
            f"Default {metric}, %": formatting.percent(summarize(row["default_score"])),
            f"Best {metric}, %": formatting.percent(summarize(row["best_score"])),
            "Best": row["best"],
            "Trials": str(row["trials"]),
            "Pruned": str(row["pruned"]),
        }
        for row in best["tuned"]
    ]


def tuning_to_rich(best: dict[str, Any]) -> Table:
    """The table for a terminal."""
    rows = tuning_cells(best)
    table = Table(title=_title(best), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in rows[0]:
        justify = "left" if heading in ("Method", "Best") else "right"
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in rows:
        table.add_row(*(Text(text) for text in row.values()))
    return table


def tuning_to_markdown(best: dict[str, Any]) -> str:
    """The table for a document, with what it was measured on."""
    rows = tuning_cells(best)
    rules = [":--" if heading in ("Method", "Best") else "--:" for heading in rows[0]]
    lines = [
        f"# {escape_markdown(_title(best))}",
        "",
        "Every method got the same number of trials, the first with its defaults; a method without"
        " anything to search got one. The test samples were not looked at.",
        "",
        "| " + " | ".join(rows[0]) + " |",
        "| " + " | ".join(rules) + " |",
    ]
    for row in rows:
        cells = [
            code_span(text) if name in ("Method", "Best") else text for name, text in row.items()
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _title(best: dict[str, Any]) -> str:
    seeds = best["seeds"]
    metric = phrase(primary_metric(best))
    return f"Tuning on {best['dataset']}: validation {metric}, seeds {seeds[0]} to {seeds[-1]}"
