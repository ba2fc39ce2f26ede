"""What ``masam export`` does."""

from pathlib import Path

from rich.console import Console

from masam_jax.cli.commands import ExportRun
from masam_jax.cli.printing import counted, print_plain
from masam_jax.export import export_run
from masam_jax.export.export_files import METADATA_FILE, PROGRAM_FILE
from masam_jax.training.saved_model import open_model


def execute_export(command: ExportRun, console: Console) -> None:
    """Exports, and says where to.

    Raises:
      RunError: a mistake in what was asked.
      OSError: the files could not be written.
    """
    output = command.output
    if output is None:
        output = str(open_model(Path(command.run), command.method).place / "export")
    place = export_run(
        command.run,
        output,
        method=command.method,
        checkpoint=command.checkpoint,
        seeds=None if command.seed is None else (command.seed,),
        platforms=command.platforms,
        fall_back=command.fall_back,
    )
    size = (place / PROGRAM_FILE).stat().st_size
    print_plain(
        console,
        f"written: {place / PROGRAM_FILE} ({counted(size, 'byte')},"
        f" {', '.join(command.platforms)}), {place / METADATA_FILE}",
    )
