"""What ``masam runs`` does."""

from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from masam_jax.analysis import formatting, summarize
from masam_jax.cli.commands import Runs
from masam_jax.cli.printing import print_plain
from masam_jax.training.metric_names import phrase
from masam_jax.training.storage.listing import list_runs

# Of one text out of a file that anybody may have written.
_MOST_LETTERS = 500


def execute_runs(command: Runs, console: Console) -> None:
    """Lists the runs below a directory.

    Raises:
      RunError: there is no such directory.
    """
    runs = list_runs(Path(command.directory))
    if not runs:
        console.print(f"no runs in {command.directory}", highlight=False, markup=False)
        return
    table = Table()
    for heading in ("Run", "Methods", "Data", "Seeds", "Steps", "Status", "Best score, %"):
        table.add_column(heading, overflow="fold")
    for run in runs:
        score = formatting.DASH
        if run.score is not None:
            title, metric, values = run.score
            score = (
                f"{formatting.percent(summarize(values))} {phrase(metric)} ({_printable(title)})"
            )
        cells = (
            _printable(str(run.path)),
            "\n".join(map(_printable, run.methods)),
            _printable(run.dataset),
            str(run.seeds) if run.methods else "",
            f"{run.step}/{run.steps}" if run.methods else "",
            run.status,
            score,
        )
        # What a file holds is text, whatever it means to a terminal.
        table.add_row(*map(Text, cells))
    console.print(table)
    for run in runs:
        if run.reason:
            print_plain(console, f"damaged: {_printable(run.reason)}")


def _printable(text: str) -> str:
    shown = text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]} …"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
