"""What ``masam diagnose`` does."""

from pathlib import Path

from rich.console import Console
from rich.padding import Padding

from masam_jax.cli.commands import Diagnose
from masam_jax.cli.printing import counted, print_plain
from masam_jax.cli.sample_progress import SampleProgress
from masam_jax.diagnosis import execute_diagnosis, plan_diagnosis
from masam_jax.training.interrupt import InterruptRequest
from masam_jax.training.open_data import describe_damage
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.storage.loggers import find_loggers


def execute_diagnose(
    command: Diagnose, console: Console, line: list[str], interrupt: InterruptRequest | None = None
) -> None:
    """Diagnoses, and says what was found; arguments and errors as those of `execute_train`."""
    find_loggers(command.output.loggers)  # Mistakes in them are told before data are read.
    dataset = command.experiment.data.dataset
    with SampleProgress(console, f"preparing {dataset}") as preparing:
        plan = plan_diagnosis(command.experiment, command.inputs, preparing.update)
    problem = plan.problem
    if damaged := describe_damage(problem.opened):
        print_plain(console, damaged)
    for warning in plan.warnings:
        print_plain(console, f"warning: {warning}")
    print_plain(
        console,
        f"{problem.data.name}: {counted(len(problem.modalities), 'modality', 'modalities')},"
        f" {counted(problem.indices('train').shape[1], 'training sample')},"
        f" {counted(len(problem.splits), 'seed')}"
        f" -> {command.output.output}",
    )
    found = execute_diagnosis(plan, command.output, line, ProgressReport(console), interrupt)
    console.print(Padding(found.verdict, (1, 0)), highlight=False, markup=False)
    for remedy in found.remedies:
        print_plain(console, f"{remedy.name}: {remedy.why}\n  {remedy.command}")
    page = "diagnosis.json" if command.output.no_plots else "diagnosis.html"
    print_plain(console, f"written: {Path(str(command.output.output)) / page}")
