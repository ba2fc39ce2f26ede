"""Whole runs: one method, or several on the same data, seeds and initial parameters."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np

from masam_jax.config.errors import RunError, user_errors
from masam_jax.config.experiment import (
    CorruptionConfig,
    DistributionConfig,
    Experiment,
    InputConfig,
    OutputConfig,
    as_json,
)
from masam_jax.methods import BoundMethod, parse_method
from masam_jax.training.distribution import initialize, make_placement
from masam_jax.training.evaluation import Predictors
from masam_jax.training.interrupt import InterruptedRun, InterruptRequest
from masam_jax.training.loop import train_method
from masam_jax.training.open_data import Report, prepare_if_needed
from masam_jax.training.probing import LinearProbes
from masam_jax.training.problem import Problem, build_problem
from masam_jax.training.progress import ProgressReport
from masam_jax.training.state import abstract_state
from masam_jax.training.storage.atomic_files import plain, read_json, write_bytes, write_json
from masam_jax.training.storage.context_file import write_context
from masam_jax.training.storage.data_facts import write_facts
from masam_jax.training.storage.environment import describe_environment
from masam_jax.training.storage.processes import barrier, is_primary
from masam_jax.training.storage.run_directory import FITTED_FILE, FORMAT, open_run
from masam_jax.training.task import Task


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run that passed every check at the door.

    Attributes:
      problem: data, splits, network.
      methods: what is trained, in order.
      baseline: the method that the others are tested against; None for a run of one method, which
        is not a comparison.
    """

    problem: Problem
    methods: tuple[BoundMethod, ...]
    baseline: BoundMethod | None

    @property
    def config(self) -> dict[str, Any]:
        """The content of the run's ``config.json``, but for its format."""
        if self.baseline is None:
            return method_config(self.problem.experiment, self.methods[0])
        return {
            "kind": "compare",
            "methods": [method.spec for method in self.methods],
            "baseline": self.baseline.spec,
            **as_json(self.problem.experiment),
        }


def plan_training(
    method: str,
    experiment: Experiment,
    distribution: DistributionConfig,
    inputs: InputConfig | None = None,
    report: Report | None = None,
) -> Plan:
    """Checks a run of one method.

    Args:
      method: its specification.
      experiment: everything else that the numbers depend on.
      distribution: the processes.
      inputs: where data are, and how they are read.
      report: told how far data are that are prepared first.

    Raises:
      RunError: unknown data set, method or option, or values that do not fit each other.
    """
    return _plan((method,), None, experiment, distribution, inputs, report)


def plan_comparison(
    methods: tuple[str, ...],
    baseline: str | None,
    experiment: Experiment,
    distribution: DistributionConfig,
    inputs: InputConfig | None = None,
    report: Report | None = None,
) -> Plan:
    """Checks a comparison.

    Args:
      methods: specifications, in the order of the table.
      baseline: one of them; by default ``late_fusion`` if it is among them, else the first with
        other options of it, else the first.
      experiment: everything else that the numbers depend on.
      distribution: the processes.
      inputs: where data are, and how they are read.
      report: told how far data are that are prepared first.

    Raises:
      RunError: as ``plan_training``; also a method given twice, or a baseline not among them.
    """
    if not methods:
        raise RunError("a comparison needs at least one method")
    specs = [_parse(spec).spec for spec in methods]
    if baseline is None:
        tuned = [spec for spec in specs if spec.startswith("late_fusion:")]
        baseline = "late_fusion" if "late_fusion" in specs else [*tuned, *specs][0]
    return _plan(methods, baseline, experiment, distribution, inputs, report)


def execute(plan: Plan, output: OutputConfig, command: list[str], progress: ProgressReport) -> Path:
    """Trains everything that is planned, and not yet done.

    Args:
      plan: what to train.
      output: where to, and whether to go on there.
      command: the command line, for ``environment.json``.
      progress: shows the course.

    Returns:
      The run directory, with ``result.json`` of a single method or ``results.json`` of several.

    Raises:
      RunError: the directory or a checkpoint in it cannot be used.
      InterruptedRun: a signal came; everything is saved.
      OSError: something could not be written.
    """
    with (
        open_run(output, plan.config) as directory,
        InterruptRequest() as interrupt,
        progress,
    ):
        path = directory.path
        places = {
            method.slug: path if plan.baseline is None else path / "methods" / method.slug
            for method in plan.methods
        }
        finished = {
            slug: read_json(place / "result.json")
            for slug, place in places.items()
            if (place / "result.json").is_file()
        }
        barrier("finished methods")
        if is_primary():
            _write_surroundings(path, plan.problem, command)
        predictors, probes = Predictors(plan.problem), LinearProbes(plan.problem)
        results = []
        for method in plan.methods:
            config = {"format": FORMAT, **method_config(plan.problem.experiment, method)}
            if method.slug not in finished:
                if interrupt.signal_number is not None:
                    raise InterruptedRun(None, interrupt.signal_number)
                if is_primary() and plan.baseline is not None:
                    places[method.slug].mkdir(parents=True, exist_ok=True)
                    write_json(places[method.slug] / "config.json", config)
                barrier(f"directory {method.slug}")
                task = Task(plan.problem, method)
                if is_primary():
                    write_context(places[method.slug], task.context)
                finished[method.slug] = train_method(
                    task,
                    places[method.slug],
                    config,
                    predict=predictors.of(task),
                    probes=probes,
                    progress=progress,
                    interrupt=interrupt,
                )
            results.append(finished[method.slug])
        if is_primary() and plan.baseline is not None:
            write_json(path / "results.json", _results(plan, plan.baseline, results))
        barrier("results")
    return path


def method_config(experiment: Experiment, method: BoundMethod) -> dict[str, Any]:
    """The configuration of one method's run, alone or inside a comparison."""
    return {"kind": "train", "method": method.spec, **as_json(experiment)}


def _plan(
    specs: tuple[str, ...],
    baseline: str | None,
    experiment: Experiment,
    distribution: DistributionConfig,
    inputs: InputConfig | None,
    report: Report | None,
) -> Plan:
    methods = tuple(_parse(spec) for spec in specs)
    chosen = None if baseline is None else _parse(baseline)
    for index, method in enumerate(methods):
        if method in methods[:index]:
            raise RunError(f"method {specs[index]!r} is given twice")
    if chosen is not None and chosen not in methods:
        raise RunError(
            f"baseline {baseline!r} is not among the methods: {', '.join(m.spec for m in methods)}"
        )
    initialize(distribution)
    with user_errors():
        inputs = InputConfig() if inputs is None else inputs
        if is_primary():
            prepare_if_needed(experiment.data.dataset, inputs, report)
        barrier("prepared data")
        problem = build_problem(experiment, make_placement, inputs=inputs)
        for method in methods:
            try:
                _check_task(Task(problem, method))
            except ValueError as error:
                raise ValueError(f"method {method.spec!r}: {error}") from error
    return Plan(problem, methods, chosen)


def _check_task(task: Task) -> None:
    """Raises ``ValueError`` where the method does not fit the modalities or the samples."""
    abstract_state(task)
    task.check()


def _parse(spec: str) -> BoundMethod:
    with user_errors():
        return parse_method(spec)


def _results(plan: Plan, baseline: BoundMethod, results: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "dataset": plan.problem.data.name,
        "metric": plan.problem.metric,
        "report_split": plan.problem.experiment.evaluation.report_split,
        "baseline": baseline.spec,
        "modalities": list(plan.problem.modalities),
        "seeds": list(plan.problem.experiment.seeds.values),
        "methods": results,
    }


def _write_surroundings(path: Path, problem: Problem, command: list[str]) -> None:
    """Environment, data, splits, statistics; a session that resumes adds its own to the first's."""
    environment = describe_environment(command)
    if (path / "environment.json").is_file():
        first = read_json(path / "environment.json")
        sessions = [*first.get("resumed", []), environment]
        environment = {**first, "resumed": sessions}
    write_json(path / "environment.json", environment)
    write_json(path / "splits.json", problem.describe_splits())
    buffer = io.BytesIO()
    np.savez(buffer, **_flat_statistics(problem))
    write_bytes(path / "statistics.npz", buffer.getvalue())
    write_facts(path, problem.opened)
    write_json(path / FITTED_FILE, {"fitted": plain(problem.fitted)})
    corruption = problem.corruption
    if problem.experiment.corruption != CorruptionConfig():
        write_json(
            path / "corruption.json",
            {
                "wrong_labels": dict(
                    zip(
                        map(str, problem.experiment.seeds.values),
                        (rows.tolist() for rows in corruption.flipped),
                        strict=True,
                    )
                ),
                "missing": {
                    part: {m: np.flatnonzero(~has).tolist() for m, has in each.items()}
                    for part, each in corruption.present.items()
                },
            },
        )


def _flat_statistics(problem: Problem) -> dict[str, Any]:
    return {
        f"{name}/{m}": array
        for m, pair in problem.host_statistics.items()
        for name, array in zip(("mean", "std"), pair, strict=True)
    }
