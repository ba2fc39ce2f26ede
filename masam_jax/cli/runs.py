"""What ``masam runs`` does."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from masam_jax.analysis import formatting, summarize
from masam_jax.cli.commands import Runs
from masam_jax.training.classification_metrics import phrase
from masam_jax.training.storage.listing import list_runs


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
            score = f"{formatting.percent(summarize(values))} {phrase(metric)} ({title})"
        table.add_row(
            str(run.path),
            "\n".join(run.methods),
            run.dataset,
            str(run.seeds),
            f"{run.step}/{run.steps}",
            run.status,
            score,
        )
    console.print(table)
