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
from rich.table import Table

from masam_jax.cli.commands import Command, Compare, Evaluate, Runs, Train, Tune
from masam_jax.cli.dataset_commands import DatasetCommand, PrepareDataset
from masam_jax.cli.datasets import execute_datasets
from masam_jax.cli.method_list import expand_methods
from masam_jax.cli.sample_progress import SampleProgress
from masam_jax.cli.terminable import Terminated
from masam_jax.cli.words import parse, program, typed
from masam_jax.config.errors import RunError, user_errors
from masam_jax.config.experiment import OutputConfig
from masam_jax.config.published import Settings, settings_of
from masam_jax.training.interrupt import InterruptedRun

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
        if isinstance(command, DatasetCommand):
            return execute_datasets(command, console, errors)
        return _execute(command, console, [*program().split(), *words])
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
    except OSError as error:
        errors.print(f"error: {_explain(error)}")
        if again:
            errors.print(f"What was written before is whole. Resume with\n  {again}")
        return 1
    except Exception as error:
        # Orbax reports a full disk from its writing threads in its own kinds of errors.
        cause = _disk_full(error)
        if cause is None:
            raise
        errors.print(f"error: {_explain(cause)}")
        if again:
            errors.print(f"What was written before is whole. Resume with\n  {again}")
        return 1


def _execute(command: Command, console: Console, line: list[str]) -> int:
    # Imported late: --help and mistakes in the options need none of it.
    if isinstance(command, Runs):
        _list(Path(command.directory), console)
    elif isinstance(command, Evaluate):
        _evaluate(command, console)
    elif isinstance(command, Tune):
        _tune(command, console, line)
    else:
        _train(command, console, line)
    return 0


def _train(command: Train | Compare, console: Console, line: list[str]) -> None:
    from masam_jax.training.open_data import describe_damage
    from masam_jax.training.progress import ProgressReport
    from masam_jax.training.runs import execute, plan_comparison, plan_training
    from masam_jax.training.storage.processes import is_primary

    experiment, inputs = command.experiment, command.inputs
    settings = settings_of(experiment.data.dataset) or Settings(experiment)
    preparing = SampleProgress(console, f"preparing {experiment.data.dataset}")
    with preparing:
        if isinstance(command, Compare):
            methods = expand_methods(command.methods, settings.method)
            plan = plan_comparison(
                methods,
                command.baseline,
                experiment,
                command.distribution,
                inputs,
                preparing.update,
            )
        else:
            plan = plan_training(
                settings.method(command.method),
                experiment,
                command.distribution,
                inputs,
                preparing.update,
            )
    if not is_primary():
        console.quiet = True
    problem = plan.problem
    if damaged := describe_damage(problem.opened):
        console.print(damaged, highlight=False, markup=False, soft_wrap=True)
    console.print(
        f"{problem.data.name}: {len(problem.modalities)} modalities,"
        f" {problem.indices('train').shape[1]} training samples,"
        f" {len(problem.splits)} seeds, {problem.placement.description}"
        f" -> {command.output.output}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    path = execute(plan, command.output, line, ProgressReport(console))
    if is_primary():
        _show_results(path, not command.output.no_plots, console)


def _tune(command: Tune, console: Console, line: list[str]) -> None:
    try:
        from masam_jax.tuning.tune import execute_tuning, plan_tuning
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("optuna", "sqlalchemy"):
            raise
        raise RunError(f"masam tune needs {error.name}: pip install 'masam_jax[tune]'") from error
    from masam_jax.analysis.tuning_table import tuning_to_markdown, tuning_to_rich
    from masam_jax.training.storage.atomic_files import write_text

    def announce(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    plan = plan_tuning(
        expand_methods(command.methods), command.trials, command.experiment, command.inputs
    )
    announce(
        f"{plan.problem.data.name}: {len(plan.spaces)} methods, {plan.trials} trials each,"
        f" {len(plan.problem.splits)} seeds -> {command.output.output}"
    )
    path, best = execute_tuning(plan, command.output, line, announce)
    console.print(tuning_to_rich(best))
    write_text(path / "tuning.md", tuning_to_markdown(best))
    announce(f"written: {path / 'tuning.md'}. Compare the methods with --methods @{path}")


def _show_results(path: Path, plots: bool, console: Console) -> None:
    from masam_jax import analysis

    record = analysis.read_directory(path)
    rows = analysis.comparison_table(record.results)
    console.print(analysis.to_rich(rows, width=console.width))
    probes = analysis.probe_table(record.results)
    if probes:
        title = f"Linear probes of the encoders, {record.split} accuracy"
        console.print(analysis.to_rich(probes, title=title, width=console.width))
    console.print(
        analysis.headline(rows, record.results.get("dataset")), highlight=False, markup=False
    )
    analysis.save_tables(path)
    written = analysis.write_report(path) if plots else path / "table.md"
    console.print(f"written: {written}", highlight=False, markup=False, soft_wrap=True)


def _evaluate(command: Evaluate, console: Console) -> None:
    from masam_jax.analysis import formatting, summarize
    from masam_jax.training.metrics import title
    from masam_jax.training.saved import evaluate_run, write_predictions

    evaluations = evaluate_run(Path(command.run), command.split, command.checkpoint, command.inputs)
    table = Table(title=f"{command.run}: {command.split} split", title_justify="left")
    columns = {"accuracy": "Accuracy, %", "macro_f1": "Macro-F1, %"}
    for metric in {evaluation.metric for evaluation in evaluations}:
        columns = {metric: f"{title(metric)}, %", **columns}
    for heading in ("Method", "Seeds", "Step", *columns.values(), "Fusion loss, nats"):
        table.add_column(heading, justify="left" if heading == "Method" else "right")
    for evaluation in evaluations:
        metrics = evaluation.metrics
        table.add_row(
            evaluation.method.title,
            str(len(evaluation.seeds)),
            str(evaluation.step),
            *(formatting.percent(summarize(metrics[name])) for name in columns),
            formatting.mean_and_std(summarize(metrics["fusion_loss"]), 3),
        )
    console.print(table)
    if command.predictions is not None:
        write_predictions(Path(command.predictions), evaluations)
        console.print(f"written: {command.predictions}", highlight=False, markup=False)


def _list(directory: Path, console: Console) -> None:
    from masam_jax.analysis import formatting, summarize
    from masam_jax.training.metrics import phrase
    from masam_jax.training.storage.listing import list_runs

    runs = list_runs(directory)
    if not runs:
        console.print(f"no runs in {directory}", highlight=False, markup=False)
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
