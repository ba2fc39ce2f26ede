"""What is trained: one method, or several on the same data, seeds and initial parameters."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from masam_jax.config import DistributionConfig, Experiment, InputConfig, as_json
from masam_jax.config.errors import RunError, user_errors
from masam_jax.data.builders.build_job import OnSample
from masam_jax.data.dataset_spec import is_own, pinned
from masam_jax.data.in_memory import MultimodalData
from masam_jax.data.on_disk import Data
from masam_jax.data.own.checks import suspicions
from masam_jax.data.presence import scarce_modalities
from masam_jax.methods import BoundMethod
from masam_jax.training.acquaintance import meet
from masam_jax.training.distribution import make_placement
from masam_jax.training.mapped_step import check_mapped
from masam_jax.training.measurement import MakeMeasurement
from masam_jax.training.memory import check_memory
from masam_jax.training.open_data import prepare_if_needed
from masam_jax.training.problem import Problem, build_problem
from masam_jax.training.process_group import connect
from masam_jax.training.state import abstract_state
from masam_jax.training.storage.processes import barrier, is_primary
from masam_jax.training.task import Task


@dataclasses.dataclass(frozen=True)
class Plan:
    """A run that passed every check at the door.

    Attributes:
      problem: data, splits, network.
      tasks: what is trained, in order: one for each method.
      baseline: the method that the others are tested against; None for a run of one method, which
        is not a comparison.
      warnings: what is odd about the data, or idle of a method, a sentence each.
      make_measurement: what measures along training; None where nothing is to be measured.
    """

    problem: Problem
    tasks: tuple[Task, ...]
    baseline: BoundMethod | None
    warnings: tuple[str, ...] = ()
    make_measurement: MakeMeasurement | None = None

    @property
    def methods(self) -> tuple[BoundMethod, ...]:
        """The methods, in order."""
        return tuple(task.method for task in self.tasks)

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
    method: BoundMethod,
    experiment: Experiment,
    distribution: DistributionConfig | None = None,
    inputs: InputConfig | None = None,
    report: OnSample | None = None,
    data: Data | None = None,
    measurement: MakeMeasurement | None = None,
) -> Plan:
    """Checks a run of one method.

    Args:
      method: the method.
      experiment: everything else that the numbers depend on.
      distribution: the processes; this one alone when None.
      inputs: where data are, and how they are read.
      report: told how far data are that are prepared first.
      data: the data set, where the configuration's name is not enough to open it.
      measurement: what measures along training, where the configuration asks for that.

    Raises:
      RunError: unknown data set or option, or values that do not fit each other.
    """
    return _plan((method,), None, experiment, distribution, inputs, report, data, measurement)


def plan_comparison(
    methods: Sequence[BoundMethod],
    baseline: BoundMethod | None,
    experiment: Experiment,
    distribution: DistributionConfig | None = None,
    inputs: InputConfig | None = None,
    report: OnSample | None = None,
    data: Data | None = None,
    measurement: MakeMeasurement | None = None,
) -> Plan:
    """Checks a comparison.

    Args:
      methods: in the order of the table.
      baseline: one of them; by default ``late_fusion`` if it is among them, else the first with
        other options of it, else the first.
      experiment: as for `plan_training`, and so the rest.
      distribution: likewise.
      inputs: likewise.
      report: likewise.
      data: likewise.
      measurement: likewise.

    Raises:
      RunError: as `plan_training`; also a method given twice, or a baseline not among them.
    """
    if not methods:
        raise RunError("a comparison needs at least one method")
    if baseline is None:
        plain = [method for method in methods if method.spec == "late_fusion"]
        tuned = [method for method in methods if method.name == "late_fusion"]
        baseline = [*plain, *tuned, *methods][0]
    return _plan(methods, baseline, experiment, distribution, inputs, report, data, measurement)


def method_config(experiment: Experiment, method: BoundMethod) -> dict[str, Any]:
    """The configuration of one method's run, alone or inside a comparison."""
    return {"kind": "train", "method": method.spec, **as_json(experiment)}


def _plan(
    methods: Sequence[BoundMethod],
    baseline: BoundMethod | None,
    experiment: Experiment,
    distribution: DistributionConfig | None,
    inputs: InputConfig | None,
    report: OnSample | None,
    data: Data | None,
    measurement: MakeMeasurement | None,
) -> Plan:
    for index, method in enumerate(methods):
        if method in methods[:index]:
            raise RunError(f"method {method.spec!r} is given twice; once is enough")
    if baseline is not None and baseline not in methods:
        raise RunError(
            f"baseline {baseline.spec!r} is not among the methods:"
            f" {', '.join(method.spec for method in methods)}"
        )
    distribution = distribution or DistributionConfig()
    connect(distribution)
    place = functools.partial(
        make_placement,
        axes=distribution.axes,
        rules=distribution.rules,
        parallel=distribution.parallel,
    )
    with user_errors():
        inputs = InputConfig() if inputs is None else inputs
        # A run is resumed and evaluated from wherever.
        dataset = pinned(experiment.data.dataset) if data is None else experiment.data.dataset
        named = dataclasses.replace(experiment.data, dataset=dataset)
        experiment = dataclasses.replace(experiment, data=named)
        if is_primary() and data is None:
            prepare_if_needed(experiment.data.dataset, inputs, report)
        barrier("prepared data")
        problem = build_problem(experiment, place, data, inputs)
        meet(problem.placement.mesh)
        warnings = scarce_modalities(
            problem.opened, np.unique(np.concatenate([part.train for part in problem.splits]))
        )
        if isinstance(problem.opened, MultimodalData) and (data is not None or is_own(dataset)):
            warnings += problem.opened.notes + suspicions(problem.opened, problem.splits)
        tasks = tuple(Task(problem, method) for method in methods)
        for task in tasks:
            try:
                check_memory(abstract_state(task))
                task.check()
                check_mapped(task)
                if task.problem.experiment.evaluation.measures:
                    if measurement is None:
                        raise ValueError("nothing was given that measures along training")
                    measurement(task)
            except ValueError as error:
                raise ValueError(f"method {task.method.spec!r}: {error}") from error
            if idle := task.method.warning(task.context):
                warnings += (f"method {task.method.spec!r}: {idle}",)
        for fusion in dict.fromkeys(task.fusion for task in tasks):
            problem.check_weights(fusion)
    return Plan(problem, tasks, baseline, warnings, measurement)
