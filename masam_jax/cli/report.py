"""What ``masam report`` does."""

import shlex
from pathlib import Path

from rich.console import Console

from masam_jax.analysis.joined_runs import join_runs
from masam_jax.analysis.result_page import save_result_page
from masam_jax.cli.commands import ReportRuns
from masam_jax.cli.printing import print_plain
from masam_jax.config.errors import RunError, user_errors


def execute_report(command: ReportRuns, console: Console, line: list[str]) -> None:
    """Joins runs into one page, and shows its tables.

    Args:
      command: what was asked for.
      console: for what it says.
      line: the command line.

    Raises:
      RunError: a directory is no finished run, or the page would go into a run's directory.
      OSError: something could not be written.
    """
    output = Path(command.output)
    if (output / "config.json").exists():
        raise RunError(f"{output} is a run's directory; give another --output")
    if output.exists() and not output.is_dir():
        raise RunError(f"{output} is a file; a directory is needed")
    with user_errors():
        page = join_runs(command.runs, shlex.join(line))
    for table in page.tables:
        console.print(table.rich())
    for remark in page.remarks:
        print_plain(console, remark)
    print_plain(console, f"written: {save_result_page(page, output)}")
