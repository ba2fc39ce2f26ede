"""An experiment, conducted: its runs trained unless they are there, its findings written."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from experiments.data_at_hand import choose_datasets
from experiments.option_search import search_options
from experiments.paper import FinishedRun, PaperExperiment, PlannedRun, Scale
from masam_jax.analysis.records import read_directory
from masam_jax.analysis.result_page import RESULT_TABLES, ResultPage, save_result_page
from masam_jax.api.keywords import run_settings
from masam_jax.api.method_list import bind_method
from masam_jax.cli.printing import print_plain
from masam_jax.config import OutputConfig, changed_fields
from masam_jax.config.errors import RunError, user_errors
from masam_jax.training.interrupt import InterruptRequest
from masam_jax.training.plan import plan_comparison
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.run import execute
from masam_jax.training.storage.atomic_files import read_json, write_json


class Asked(NamedTuple):
    """What the command line says.

    Attributes:
      datasets: data sets, as ``--dataset`` takes them; those at hand when empty.
      scale: how much is trained.
      output: directory of all experiments; runs that several of them plan are trained once.
      command: the command line, for the page.
    """

    datasets: tuple[str, ...]
    scale: Scale
    output: Path
    command: str


def conduct(
    experiment: PaperExperiment,
    asked: Asked,
    console: Console,
    interrupt: InterruptRequest | None = None,
) -> Path:
    """Trains what is not there yet, and writes tables, pictures and the page.

    Args:
      experiment: which one.
      asked: on what, how much, where to.
      console: for what it says.
      interrupt: asked between steps whether to stop.

    Returns:
      The path of ``report.html``.

    Raises:
      RunError: a mistake in what was asked, or a run of other settings in its place.
      InterruptedRun: a signal came; every step that was taken is saved.
      OSError: something could not be written.
    """
    named = asked.datasets
    if not named and experiment.datasets is not None and not asked.scale.quick:
        named = experiment.datasets
    datasets, said = choose_datasets(named, quick=asked.scale.quick)
    print_plain(console, f"{experiment.name}: {experiment.question}")
    if said:
        print_plain(console, said)
    planned = [run for name in datasets for run in experiment.plan(name, asked.scale)]
    finished = []
    for number, run in enumerate(planned, start=1):
        place = asked.output / "runs" / run.slug / run.label
        print_plain(console, f"[{number}/{len(planned)}] {run.dataset}, {run.label}: {place}")
        _take(run, place)
        if run.search is not None:
            run = run.with_found(search_options(run, run.search, place, asked.command, interrupt))
        _train(run, place, asked, console, interrupt)
        with user_errors():
            finished.append(FinishedRun(run, read_directory(place)))
    found = experiment.conclude(finished, asked.scale)
    page = ResultPage(
        heading=experiment.question,
        remarks=found.remarks,
        note=said,
        facts=_facts(experiment, datasets, finished),
        tables=found.tables,
        plots=found.plots,
        command=asked.command,
        kicker="experiment",
    )
    written = save_result_page(page, asked.output / experiment.name)
    for table in found.tables:
        console.print(table.rich())
    for remark in found.remarks:
        print_plain(console, remark)
    print_plain(console, f"written: {written}, {written.with_name(RESULT_TABLES)}")
    return written


def _train(
    run: PlannedRun,
    place: Path,
    asked: Asked,
    console: Console,
    interrupt: InterruptRequest | None,
) -> None:
    """Trains a run, or what is left of it; one that is finished is not even planned again."""
    if (place / "results.json").is_file():
        return
    with user_errors():
        settings = run_settings("compare", run.dataset, run.options)
    published = settings.published.methods if settings.published else None
    plan = plan_comparison(
        [bind_method(spec, published) for spec in run.specifications],
        None,
        settings.experiment,
        inputs=settings.inputs,
    )
    for warning in plan.warnings:
        print_plain(console, f"warning: {warning}")
    resume = (place / "config.json").is_file()
    output = OutputConfig(str(place), resume=resume, loggers=settings.loggers)
    execute(plan, output, [asked.command], ProgressReport(console), interrupt)


def _take(run: PlannedRun, place: Path) -> None:
    """Says beside a run's directory, before there is one, what run it is.

    Raises:
      RunError: it is that of another.
    """
    path = place.with_name(f"{place.name}.json")
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, run.content)
    elif changes := changed_fields(read_json(path), run.content):
        raise RunError(
            f"{place} is a run of other settings ({'; '.join(changes)}); give another --output"
        )


def _facts(
    experiment: PaperExperiment, datasets: Sequence[str], finished: Sequence[FinishedRun]
) -> tuple[tuple[str, str], ...]:
    seeds = sorted({len(run.record.results["seeds"]) for run in finished})
    return (
        ("Experiment", experiment.name),
        ("Data", ", ".join(datasets)),
        ("Runs", str(len(finished))),
        ("Seeds", " or ".join(map(str, seeds))),
    )
