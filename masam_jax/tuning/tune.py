"""Tuning: every method gets the same number of trials, on validation samples and other seeds."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from masam_jax.config import (
    Experiment,
    InputConfig,
    OutputConfig,
    as_json,
)
from masam_jax.config.engine import LocalEngine, RayEngine
from masam_jax.config.errors import RunError
from masam_jax.data.on_disk import Data
from masam_jax.methods import BoundMethod
from masam_jax.training.interrupt import InterruptRequest
from masam_jax.training.plan import plan_comparison
from masam_jax.training.problem import Problem
from masam_jax.training.storage.atomic_files import plain, write_json
from masam_jax.training.storage.environment import describe_environment
from masam_jax.training.storage.run_directory import open_run
from masam_jax.training.storage.surroundings import check_data, write_splits
from masam_jax.training.task import Task
from masam_jax.tuning.best_file import BEST_FILE, TUNING_FORMAT, sign_best
from masam_jax.tuning.ray_trials import RayTrials
from masam_jax.tuning.search_space import SearchSpace, search_space
from masam_jax.tuning.study import MethodStudy, TrialOutcome, open_storage
from masam_jax.tuning.trials import Trials


@dataclasses.dataclass(frozen=True)
class TuningPlan:
    """A tuning that passed every check at the door.

    Attributes:
      problem: data, splits, network.
      spaces: the methods, and where to look for their options.
      trials: the budget of each.
    """

    problem: Problem
    spaces: tuple[SearchSpace, ...]
    trials: int

    @property
    def config(self) -> dict[str, Any]:
        """The content of ``config.json``, but for its format."""
        return {
            "kind": "tune",
            "methods": [space.method.spec for space in self.spaces],
            "search": {space.method.spec: space.describe() for space in self.spaces},
            "trials": self.trials,
            **as_json(self.problem.experiment),
        }


def plan_tuning(
    methods: Sequence[BoundMethod],
    trials: int,
    experiment: Experiment,
    inputs: InputConfig | None = None,
    data: Data | None = None,
) -> TuningPlan:
    """Checks a tuning.

    Args:
      methods: the options that their specifications named are not searched.
      trials: trials of each method.
      experiment: everything else that the numbers depend on; reports on the validation samples.
      inputs: where data are, and how they are read.
      data: as for ``plan_comparison``.

    Raises:
      RunError: as ``plan_comparison``; also no trial, or an experiment that looks at test samples.
    """
    if trials < 1:
        raise RunError(f"trials={trials} is out of range: expected an integer >= 1")
    if experiment.evaluation.report_split != "validation":
        raise RunError("tuning looks at validation samples alone: report_split must be validation")
    plan = plan_comparison(methods, None, experiment, inputs=inputs, data=data)
    spaces = tuple(search_space(method) for method in methods)
    return TuningPlan(plan.problem, spaces, trials)


def execute_tuning(
    plan: TuningPlan,
    output: OutputConfig,
    command: list[str],
    announce: Callable[[str], None],
    interrupt: InterruptRequest | None = None,
    engine: LocalEngine | RayEngine | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Runs every trial that is planned, and not yet done.

    Args:
      plan: what to tune.
      output: where to, and whether to go on there.
      command: the command line, for ``environment.json``.
      announce: told one line for each trial.
      interrupt: asked between steps whether to stop; one of its own when None.
      engine: where trials are trained; in this process when None.

    Returns:
      The directory, and the content of its ``best.json``.

    Raises:
      RunError: the directory or the study in it, or the engine, cannot be used.
      InterruptedRun: a signal came; every finished trial is saved.
      OSError: something could not be written.
    """
    ray = RayTrials(plan.problem, engine) if isinstance(engine, RayEngine) else None

    def announced(study: MethodStudy) -> None:
        announce(_line(study, study.outcomes[-1]))

    with (
        open_run(output, plan.config) as directory,
        interrupt or InterruptRequest() as interrupt,
    ):
        path = directory.path
        check_data(path, plan.problem.opened.digest())
        if not (path / "environment.json").is_file():
            write_json(path / "environment.json", describe_environment(command))
            write_splits(path, plan.problem.describe_splits())
        with open_storage(path / "study.db") as storage:
            studies = [
                MethodStudy(
                    storage,
                    space,
                    trials=plan.trials,
                    steps=Task(plan.problem, space.method).steps,
                )
                for space in plan.spaces
            ]
            if ray is not None:
                ray.run(studies, announced, interrupt)
            else:
                trials = Trials(plan.problem, path / "trial", interrupt)
                for study in studies:
                    while study.advance(trials.train) is not None:
                        announced(study)
            tuned = [_summary(study) for study in studies]
        best = sign_best(plain(_best(plan, tuned)))
        write_json(path / BEST_FILE, best)
    return path, best


def _line(study: MethodStudy, outcome: TrialOutcome) -> str:
    how = f"{outcome.mean:.4f}" if outcome.score else f"pruned at step {outcome.step}"
    count = f"{len(study.outcomes)}/{study.budget}"
    return f"{study.space.method.spec} {count}  {outcome.spec}  {how}"


def _summary(study: MethodStudy) -> dict[str, Any]:
    outcomes, best = study.outcomes, study.best
    return {
        "method": study.space.method.spec,
        "best": best.spec,
        "default_score": outcomes[0].score,
        "best_score": best.score,
        "trials": len(outcomes),
        "pruned": sum(outcome.score is None for outcome in outcomes),
        "search": study.space.describe(),
    }


def _best(plan: TuningPlan, tuned: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "format": TUNING_FORMAT,
        "methods": list(dict.fromkeys(row["best"] for row in tuned)),
        "score": {row["best"]: sum(row["best_score"]) / len(row["best_score"]) for row in tuned},
        "trials": plan.trials,
        "seeds": list(plan.problem.experiment.seeds.values),
        "dataset": plan.problem.data.name,
        "metric": plan.problem.metric,
        "tuned": tuned,
        "experiment": as_json(plan.problem.experiment),
    }
