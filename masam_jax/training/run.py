"""A whole run: every method of a plan, one after the other."""

import functools
from pathlib import Path
from typing import Any

from masam_jax.config import CorruptionConfig, Longer, OutputConfig
from masam_jax.config.errors import RunError
from masam_jax.data import MultimodalData
from masam_jax.methods import BoundMethod
from masam_jax.training.interrupt import InterruptedRun, InterruptRequest
from masam_jax.training.linear_probes import LinearProbes
from masam_jax.training.loop import train_method
from masam_jax.training.plan import Plan, method_config
from masam_jax.training.predictions import Predictors
from masam_jax.training.problem import Problem
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.step_trace import check_profiler
from masam_jax.training.storage import surroundings
from masam_jax.training.storage.atomic_files import write_json
from masam_jax.training.storage.context_file import write_context
from masam_jax.training.storage.data_facts import write_facts
from masam_jax.training.storage.environment import write_environment
from masam_jax.training.storage.loggers import find_loggers
from masam_jax.training.storage.processes import barrier, is_primary
from masam_jax.training.storage.recipe_file import save_recipe
from masam_jax.training.storage.run_directory import FORMAT, open_run
from masam_jax.training.storage.sealed_files import read_sealed_json, write_sealed_json
from masam_jax.training.target_scale import write_target_scale


def execute(
    plan: Plan,
    output: OutputConfig,
    command: list[str],
    progress: ProgressReport,
    interrupt: InterruptRequest | None = None,
) -> Path:
    """Trains everything that is planned, and not yet done.

    Args:
      plan: what to train.
      output: where to, and whether to go on there.
      command: the command line, for ``environment.json``.
      progress: shows the course.
      interrupt: asked between steps whether to stop; one of its own when None.

    Returns:
      The run directory, with ``result.json`` of a single method or ``results.json`` of several.

    Raises:
      RunError: the directory or a checkpoint in it cannot be used.
      InterruptedRun: a signal came; every step that was taken is saved.
      OSError: something could not be written.
    """
    loggers = find_loggers(output.loggers)
    if output.profile:
        check_profiler()
    with (
        open_run(output, plan.config, functools.partial(_check_longer, plan)) as directory,
        interrupt or InterruptRequest() as interrupt,
        progress,
    ):
        path, alone = directory.path, plan.baseline is None
        if more := directory.longer:
            progress.note(
                f"{path}: going on with the run of {more.before} {more.unit}, to {more.after}"
            )
        surroundings.check_data(path, plan.problem.opened.digest())
        places = [path if alone else path / "methods" / m.slug for m in plan.methods]
        finished = [_read_result(place / "result.json") for place in places]
        barrier("finished methods")
        if is_primary():
            _write_surroundings(path, plan.problem, command)
        predictors, probes = Predictors(plan.problem), LinearProbes(plan.problem)
        results: list[dict[str, Any]] = []
        for task, place, found in zip(plan.tasks, places, finished, strict=True):
            config = {"format": FORMAT, **method_config(plan.problem.experiment, task.method)}
            if found is None:
                if interrupt.reached():
                    raise InterruptedRun(None, interrupt.signal_number or 0, saved=bool(results))
                if is_primary() and not alone:
                    place.mkdir(parents=True, exist_ok=True)
                    write_json(place / "config.json", config)
                barrier(f"directory {task.method.slug}")
                if is_primary():
                    write_context(place, task.context)
                found = train_method(
                    task,
                    place,
                    config,
                    predict=predictors.of(task),
                    probes=probes,
                    progress=progress,
                    interrupt=interrupt,
                    fall_back=output.fall_back,
                    loggers=loggers,
                    make_measurement=plan.make_measurement,
                    profile=output.profile,
                )
            results.append(found)
        if is_primary() and plan.baseline is not None:
            write_sealed_json(path / "results.json", _results(plan, plan.baseline, results))
        barrier("results")
    return path


def _check_longer(plan: Plan, more: Longer) -> None:
    """Refuses to make a run longer that would have been another from its first step on.

    Raises:
      RunError: the learning rate, or a method, depends on the length.
    """
    start_another = f"start a run of {more.after} {more.unit} with another --output"
    schedule = plan.problem.experiment.optimization.schedule
    if schedule != "constant":
        raise RunError(
            f"with schedule={schedule} the learning rate fell over the {more.before} {more.unit} of"
            f" this run; {start_another}"
        )
    for task in plan.tasks:
        before = more.before * (task.steps_per_epoch if more.unit == "epochs" else 1)
        shorter = task.context._replace(steps=before)
        if task.method.objective(shorter) != task.objective:
            raise RunError(
                f"method {task.method.spec!r} depends on the length of its run; {start_another}"
            )


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
    """What all methods share: environment, data, splits, statistics, corruption."""
    write_environment(path, command)
    write_facts(path, problem.opened)
    if isinstance(problem.opened, MultimodalData):
        save_recipe(path, problem.opened.recipe)
    else:
        surroundings.write_kept(path, problem.opened.builder.kept_for_files())
    surroundings.write_splits(path, problem.describe_splits())
    surroundings.write_statistics(path, problem.host_statistics)
    if problem.targets is not None:
        write_target_scale(path, problem.targets)
    surroundings.write_fitted(path, problem.fitted)
    if problem.experiment.corruption != CorruptionConfig():
        seeds = map(str, problem.experiment.seeds.values)
        surroundings.write_corruption(
            path,
            dict(zip(seeds, problem.corruption.flipped, strict=True)),
            problem.corruption.present,
        )


def _read_result(path: Path) -> dict[str, Any] | None:
    """A finished method's result; None for one that is not finished."""
    if not path.is_file():
        return None
    try:
        return read_sealed_json(path)
    except RunError as error:
        raise RunError(
            f"{error}; once it is deleted, --resume makes it from the last checkpoint"
        ) from error
