"""Finished runs of a plan, without training as far as tables need them; and small, trained ones."""

from pathlib import Path

from rich.console import Console

from experiments.conduct import Asked, conduct
from experiments.paper import Findings, FinishedRun, PaperExperiment, PlannedRun, Scale
from masam_jax.analysis.records import read_directory
from tests.analysis.fake_directories import write_comparison


def fake_run(place: Path, planned: PlannedRun, *, seeds: int = 3, best: float = 0.9) -> FinishedRun:
    """The first method has the best score, each further one a point less."""
    methods = [
        (spec, name, best - 0.01 * i, False)
        for i, (name, spec) in enumerate(planned.methods.items())
    ]
    directory = write_comparison(place, seeds=seeds, methods=methods)
    return FinishedRun(planned, read_directory(directory))


def fake_runs(
    place: Path, experiment: PaperExperiment, *datasets: str, scale: Scale | None = None
) -> list[FinishedRun]:
    """All runs of an experiment; those of one data set get worse one after the other."""
    return [
        fake_run(place / f"{dataset}-{run.label}", run, best=0.9 - 0.05 * i)
        for dataset in datasets
        for i, run in enumerate(experiment.plan(dataset, scale or Scale()))
    ]


def trained_run(place: Path, planned: PlannedRun, scale: Scale) -> FinishedRun:
    """The run of a plan, really trained."""
    experiment = PaperExperiment("small", "?", lambda *_: [planned], lambda *_: Findings())
    conduct(experiment, Asked((planned.dataset,), scale, place, ""), Console(quiet=True))
    return FinishedRun(planned, read_directory(place / "runs" / planned.slug / planned.label))
