"""The command line: ``masam train``, ``compare``, ``diagnose``, ``tune``, and the others.

Exit codes: 0 done; 1 the run failed (disk full, say), or prepared data are damaged; 2 a mistake in
what was asked; 75 another process of the run was lost, and the same command with --resume goes on;
129, 130 or 143 stopped by SIGHUP, Ctrl-C or SIGTERM, after saving what was done.
Every error is ``masam COMMAND: what it is; what is accepted, or the cure``, on standard error.
"""

import dataclasses
import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

from rich.console import Console

from masam_jax.cli.bucket_paths import local_output, local_run
from masam_jax.cli.commands import (
    Command,
    Compare,
    ConductExperiment,
    Diagnose,
    Evaluate,
    ExportRun,
    Measure,
    PredictFiles,
    ReportRuns,
    Run,
    Runs,
    Train,
    Tune,
)
from masam_jax.cli.config_file import write_file
from masam_jax.cli.dataset_commands import DatasetCommand, PrepareDataset
from masam_jax.cli.datasets import execute_datasets
from masam_jax.cli.error_log import ErrorLog
from masam_jax.cli.options import command_options
from masam_jax.cli.outlet import Outlet, patient, spell_what_it_can
from masam_jax.cli.printing import print_plain
from masam_jax.cli.resumed import cut_resumed
from masam_jax.cli.signal_watch import SignalWatch
from masam_jax.cli.terminable import Terminated, terminable
from masam_jax.cli.words import as_typed, parse, program, spoken, typed
from masam_jax.config.errors import RunError, user_errors
from masam_jax.core.extras import needs
from masam_jax.training.cluster import with_cluster
from masam_jax.training.interrupt import InterruptedRun, InterruptRequest
from masam_jax.training.process_group import joined, process_group
from masam_jax.training.storage.atomic_files import check_file
from masam_jax.training.storage.run_directory import check_output

# Of tables that go to a file or a pipe.
_WIDTH = 140


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code.

    Args:
      arguments: the words after the program's name; ``sys.argv`` by default.

    Raises:
      SystemExit: after help, with code 0.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        spell_what_it_can(stream)
    output = Outlet(sys.stdout)
    try:
        # The log outlives the command's frames, and so what a failed save leaves in them.
        with ExitStack() as logs:
            code = _run(words, output, logs)
        _end_without_others(output, code)
        return code
    except BrokenPipeError:  # Help that nobody reads to its end.
        with patient(sys.stdout):
            raise
        return 0
    except Exception:
        if (group := process_group()) and group.is_broken:
            traceback.print_exc()
        _end_without_others(output, 1)
        raise
    finally:
        output.flush()


def _end_without_others(output: Outlet, code: int) -> None:
    """Ends a process whose others were told to end: an orderly end would wait for them."""
    if (group := process_group()) and group.is_broken:
        output.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(words: list[str], output: Outlet, logs: ExitStack) -> int:
    console = Console(file=cast(IO[str], output))
    if not console.is_terminal:
        console = Console(file=cast(IO[str], output), width=_WIDTH)
    errors = Console(
        file=cast(IO[str], Outlet(sys.stderr)), highlight=False, markup=False, soft_wrap=True
    )
    name = " ".join(["masam", *spoken(words)])
    again, place = "", Path()
    command: Command | DatasetCommand | None = None
    request = InterruptRequest()

    def goes_on(reason: str) -> str:
        """What is said last: why the command ended, and how it goes on."""
        if not again:
            return f"{reason}."
        if place != Path() and not (place / "config.json").is_file():
            return f"{reason.partition(';')[0]}: nothing was written."
        return f"{reason}. Resume with\n  {again}"

    def note(text: str) -> None:
        print_plain(errors, text)

    watch, log = SignalWatch(request, goes_on), ErrorLog(place)
    try:
        with ExitStack() as stack:
            stack.enter_context(terminable(watch.take))
            with user_errors():
                command = parse(words)
                if isinstance(command, PrepareDataset | ConductExperiment):
                    again = typed(words)
                if isinstance(command, Run):
                    if command.write_config is not None:
                        return _write_config(command, words, console)
                    command = _named(_in_cluster(command))
                    resuming = typed(_resuming(words, str(command.output.output)))
                    command = stack.enter_context(local_output(command, note))
                    again = resuming  # Nothing is written before.
                    place = Path(str(command.output.output))
                    log = logs.enter_context(ErrorLog(place))
                    # Of several processes, the first one looks when it can tell the others.
                    if _processes(command) == 1:
                        check_output(command.output)
                    stack.enter_context(watch)
                elif not isinstance(command, DatasetCommand):
                    command = stack.enter_context(local_run(command))
            if isinstance(command, DatasetCommand):
                return execute_datasets(command, console, errors)
            with needs("this", "train", "analysis"):
                stack.enter_context(_programs_of(command))
                _execute(command, console, [*program().split(), *words], request, goes_on)
        return 0
    except RunError as error:
        said = as_typed(str(error), words)
        # Instructions, of many lines, end as they are written.
        errors.print(f"{name}: {said}" if "\n" in said else f"{name}: {said.rstrip('.')}")
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "masam_jax":
            raise
        errors.print(f"{name}: {error}")
        if (place / "config.json").is_file():
            errors.print(goes_on("It ended; what was written before is whole"))
        return 2
    except InterruptedRun as error:
        errors.print(goes_on(_what_is_saved(error)))
        return 128 + error.signal_number
    except KeyboardInterrupt as error:
        whole = "; what was written before is whole" if again else ""
        errors.print(goes_on(f"interrupted{whole}"))
        return 128 + (error.signal_number if isinstance(error, Terminated) else signal.SIGINT)
    except BrokenPipeError:
        raise
    except Exception as error:
        # Orbax reports a full disk from its writing threads in its own kinds of errors.
        cause = error if isinstance(error, OSError) else _disk_full(error)
        if cause is None:
            raise
        log.write("".join(traceback.format_exception(error)))
        errors.print(f"{name}: {_explain(cause)}")
        if log.path is not None:
            errors.print(f"Where that was is in {log.path}")
        if again:
            errors.print(goes_on("It ended; what was written before is whole"))
        return 1


def _programs_of(command: Command) -> AbstractContextManager[None]:
    """Whether programs that the command compiles are kept."""
    if isinstance(command, ExportRun | Runs | ReportRuns):
        return nullcontext()
    from masam_jax.training.kept_programs import kept_programs

    return kept_programs(command.programs.compilation_cache)


def _what_is_saved(error: InterruptedRun) -> str:
    if error.step is None:
        return (
            "interrupted; what was finished is saved"
            if error.saved
            else "interrupted: no step was taken since the start"
        )
    if error.saved:
        return f"interrupted: saved at step {error.step}"
    return f"interrupted: no step was taken since the checkpoint of step {error.step}"


def _execute(
    command: Command,
    console: Console,
    line: list[str],
    interrupt: InterruptRequest,
    farewell: Callable[[str], str],
) -> None:
    # Imported late: --help and mistakes in the options need none of it.
    if isinstance(command, Runs):
        from masam_jax.cli.runs import execute_runs

        execute_runs(command, console)
    elif isinstance(command, Evaluate):
        from masam_jax.cli.evaluate import execute_evaluate

        execute_evaluate(command, console)
    elif isinstance(command, PredictFiles):
        from masam_jax.cli.predict import execute_predict

        execute_predict(command, console)
    elif isinstance(command, ExportRun):
        from masam_jax.cli.export import execute_export

        execute_export(command, console)
    elif isinstance(command, Measure):
        from masam_jax.cli.measure import execute_measure

        execute_measure(command, console, line)
    elif isinstance(command, ReportRuns):
        from masam_jax.cli.report import execute_report

        execute_report(command, console, line)
    elif isinstance(command, ConductExperiment):
        from masam_jax.cli.experiment import execute_experiment

        execute_experiment(command, console, line, interrupt)
    elif isinstance(command, Tune):
        from masam_jax.cli.tune import execute_tune

        execute_tune(command, console, line, interrupt)
    elif isinstance(command, Diagnose):
        from masam_jax.cli.diagnose import execute_diagnose

        execute_diagnose(command, console, line, interrupt)
    else:
        from masam_jax.cli.train import execute_train
        from masam_jax.training.storage.processes import is_primary

        with joined(command.distribution, farewell):
            if group := process_group():
                for option, value in _shared(command).items():
                    group.check_same(option, value)
                if is_primary():
                    check_output(command.output)
            execute_train(command, console, line, interrupt)


def _write_config(command: Run, words: list[str], console: Console) -> int:
    """Writes the options of a command, in the place of executing it."""
    path = Path(str(command.write_config))
    check_file(path)
    write_file(path, command, command_options(type(command)))
    kind = " ".join(spoken(words))
    print_plain(console, f"written: {path}. Run it with\n  {program()} {kind} --config {path}")
    return 0


def _in_cluster(command: Run) -> Run:
    """With the processes that a cluster has started."""
    if isinstance(command, Diagnose | Tune):
        return command
    return dataclasses.replace(command, distribution=with_cluster(command.distribution))


def _named(command: Run) -> Run:
    """With a directory for its output: a new one, named by the time, where none was asked for."""
    if command.output.output is not None:
        return command
    if _processes(command) > 1:
        raise RunError(
            "several processes need --output, the same for all, and this is one of"
            f" {_processes(command)}; where they are runs of their own, give --cluster none"
        )
    kind = type(command).__name__.lower()
    place = Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{kind}"
    output: Any = dataclasses.replace(command.output, output=str(place))
    return dataclasses.replace(command, output=output)


def _shared(command: Train | Compare) -> dict[str, object]:
    """Options that all processes of a run must be given alike; paths may differ by machine."""
    methods = command.methods if isinstance(command, Compare) else command.method
    numbers = (command.experiment.seeds, command.experiment.optimization)
    fields = {name: value for each in numbers for name, value in dataclasses.asdict(each).items()}
    spoken = {f"--{name.replace('_', '-')}": value for name, value in fields.items()}
    return {"--output": command.output.output, "--method": methods, **spoken}


def _processes(command: Run) -> int:
    """How many processes take part."""
    if isinstance(command, Diagnose | Tune):
        return 1
    return command.distribution.num_processes


def _resuming(words: list[str], output: str) -> list[str]:
    """The words of the command that goes on with this one."""
    if cut_resumed(words)[1] is not None:
        return words
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
