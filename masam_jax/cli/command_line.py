"""The command line: ``masam train``, ``compare``, ``tune``, ``evaluate``, ``runs``, ``datasets``.

Exit codes: 0 done; 1 the run failed (disk full, say), or prepared data are damaged; 2 a mistake in
what was asked; 130 or 143 stopped by Ctrl-C or SIGTERM, after saving.
"""

import dataclasses
import errno
import os
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console

from masam_jax.cli.commands import Command, Compare, Evaluate, Runs, Train, Tune
from masam_jax.cli.dataset_commands import DatasetCommand, PrepareDataset
from masam_jax.cli.datasets import execute_datasets
from masam_jax.cli.terminable import Terminated
from masam_jax.cli.words import parse, program, typed
from masam_jax.config import OutputConfig
from masam_jax.config.errors import RunError, user_errors
from masam_jax.training.interrupt import InterruptedRun
from masam_jax.training.storage.run_directory import check_output

# Of tables that go to a file or a pipe.
_WIDTH = 140


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code.

    Args:
      arguments: the words after the program's name; ``sys.argv`` by default.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    errors = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    again = ""
    try:
        with user_errors():
            command = parse(words)
            if isinstance(command, PrepareDataset):
                again = typed(words)
            if isinstance(command, Train | Compare | Tune):
                command = dataclasses.replace(command, output=_named(command))
                again = typed(_resuming(words, str(command.output.output)))
                if isinstance(command, Tune) or command.distribution.process_id == 0:
                    check_output(command.output)
        if isinstance(command, DatasetCommand):
            return execute_datasets(command, console, errors)
        _execute(command, console, [*program().split(), *words])
        return 0
    except RunError as error:
        errors.print(f"error: {error}")
        return 2
    except InterruptedRun as error:
        place = "" if error.step is None else f" at step {error.step}"
        errors.print(f"interrupted: saved{place}. Resume with\n  {again}")
        return 128 + error.signal_number
    except KeyboardInterrupt as error:
        hint = f" What was saved can be resumed with\n  {again}" if again else ""
        errors.print(f"interrupted.{hint}")
        return 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)
    except Exception as error:
        # Orbax reports a full disk from its writing threads in its own kinds of errors.
        cause = error if isinstance(error, OSError) else _disk_full(error)
        if cause is None:
            raise
        errors.print(f"error: {_explain(cause)}")
        if again:
            errors.print(f"What was written before is whole. Resume with\n  {again}")
        return 1


def _execute(command: Command, console: Console, line: list[str]) -> None:
    # Imported late: --help and mistakes in the options need none of it.
    if isinstance(command, Runs):
        from masam_jax.cli.runs import execute_runs

        execute_runs(command, console)
    elif isinstance(command, Evaluate):
        from masam_jax.cli.evaluate import execute_evaluate

        execute_evaluate(command, console)
    elif isinstance(command, Tune):
        from masam_jax.cli.tune import execute_tune

        execute_tune(command, console, line)
    else:
        from masam_jax.cli.train import execute_train

        execute_train(command, console, line)


def _named(command: Train | Compare | Tune) -> OutputConfig:
    """The output with a directory: a new one, named by the time, where none was asked for."""
    output = command.output
    if output.output is not None:
        return output
    if not isinstance(command, Tune) and command.distribution.num_processes > 1:
        raise RunError("several processes need --output, the same for all")
    kind = type(command).__name__.lower()
    return dataclasses.replace(
        output, output=str(Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{kind}")
    )


def _resuming(words: list[str], output: str) -> list[str]:
    """The words of the command that goes on with this one."""
    kept = [word for word in words if word not in ("--overwrite", "--resume")]
    if not any(word == "--output" or word.startswith("--output=") for word in kept):
        kept += ["--output", output]
    return [*kept, "--resume"]


def _explain(error: OSError) -> str:
    place = f": {error.filename}" if error.filename else ""
    return f"{os.strerror(error.errno).lower() if error.errno else error}{place}"


def _disk_full(error: BaseException | None) -> OSError | None:
    """The full disk at the bottom of an error, if that is what it is."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return error
        if "No space left on device" in str(error):
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        error = error.__cause__ or error.__context__
    return None
