"""What ``masam train`` and ``masam compare`` do."""

from pathlib import Path

from rich.console import Console

from masam_jax import analysis
from masam_jax.api.method_list import bind_method, expand_methods, recorded_methods
from masam_jax.cli.commands import Compare, Train
from masam_jax.cli.printing import counted, print_plain
from masam_jax.cli.sample_progress import SampleProgress
from masam_jax.config.errors import user_errors
from masam_jax.config.published import settings_of
from masam_jax.geometry.along_training import FlatnessAlongTraining
from masam_jax.training.interrupt import InterruptRequest
from masam_jax.training.metric_names import phrase
from masam_jax.training.open_data import describe_damage
from masam_jax.training.plan import Plan, plan_comparison, plan_training
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.run import execute
from masam_jax.training.storage.loggers import find_loggers
from masam_jax.training.storage.processes import is_primary


def execute_train(
    command: Train | Compare,
    console: Console,
    line: list[str],
    interrupt: InterruptRequest | None = None,
) -> None:
    """Trains, and shows what came out.

    Args:
      command: what was asked for.
      console: for what it says.
      line: the command line.
      interrupt: asked between steps whether to stop.

    Raises:
      RunError: a mistake in what was asked.
      InterruptedRun: a signal came; every step that was taken is saved.
      OSError: something could not be written.
    """
    find_loggers(command.output.loggers)  # Mistakes in them are told before data are read.
    plan = _plan(command, console)
    if not is_primary():
        console.quiet = True
    problem = plan.problem
    if damaged := describe_damage(problem.opened):
        print_plain(console, damaged)
    for warning in plan.warnings:
        print_plain(console, f"warning: {warning}")
    settings = settings_of(command.experiment.data.dataset)
    for lacking in settings.missing_weights(command.experiment.chosen_model) if settings else ():
        print_plain(console, lacking)
    for told in settings.options_told(plan.methods) if settings else ():
        print_plain(console, told)
    print_plain(
        console,
        f"{problem.data.name}: {counted(len(problem.modalities), 'modality', 'modalities')},"
        f" {counted(problem.indices('train').shape[1], 'training sample')},"
        f" {counted(len(problem.splits), 'seed')}, {problem.placement.description}"
        f" -> {command.output.output}",
    )
    path = execute(plan, command.output, line, ProgressReport(console), interrupt)
    if is_primary():
        _show_results(path, not command.output.no_plots, console)


def _plan(command: Train | Compare, console: Console) -> Plan:
    dataset = command.experiment.data.dataset
    settings = settings_of(dataset)
    published = None if settings is None else settings.methods
    recorded = recorded_methods(command.output)
    rest = (command.experiment, command.distribution, command.inputs)
    measurement = FlatnessAlongTraining
    with SampleProgress(console, f"preparing {dataset}") as preparing:
        if isinstance(command, Train):
            method = bind_method(command.method, published, recorded)
            return plan_training(method, *rest, preparing.update, measurement=measurement)
        methods = expand_methods(command.methods, published, recorded)
        baseline = command.baseline and bind_method(command.baseline, published, recorded)
        return plan_comparison(
            methods, baseline or None, *rest, preparing.update, measurement=measurement
        )


def _show_results(path: Path, plots: bool, console: Console) -> None:
    with user_errors():
        record = analysis.read_directory(path)
    rows = analysis.comparison_table(record.results)
    console.print(analysis.to_rich(rows, width=console.width))
    probes = analysis.probe_table(record.results)
    if probes:
        title = f"Linear probes of the encoders, {record.split} {phrase(probes[0].metric)}"
        console.print(analysis.to_rich(probes, title=title, width=console.width))
    console.print(
        analysis.headline(rows, record.results.get("dataset")), highlight=False, markup=False
    )
    analysis.save_tables(path)
    written = analysis.write_report(path) if plots else path / "table.md"
    console.print(f"written: {written}", highlight=False, markup=False, soft_wrap=True)
