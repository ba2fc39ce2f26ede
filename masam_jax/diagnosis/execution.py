"""A diagnosis, from the plan to the files that it leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from rich.console import Console

from masam_jax.analysis.records import read_directory
from masam_jax.config import Experiment, InputConfig, OutputConfig
from masam_jax.config.errors import RunError, user_errors
from masam_jax.data.builders.build_job import OnSample
from masam_jax.data.on_disk import Data
from masam_jax.diagnosis.conclusions import Diagnosis, conclude
from masam_jax.diagnosis.observations import JOINT, METHODS, observe
from masam_jax.diagnosis.page import write_page
from masam_jax.diagnosis.remedies import remedies_of
from masam_jax.diagnosis.verdict import verdict_of
from masam_jax.geometry.along_training import FlatnessAlongTraining
from masam_jax.methods import parse_method
from masam_jax.methods.objective import NEEDS_CLASSES
from masam_jax.training.interrupt import InterruptRequest
from masam_jax.training.plan import Plan, plan_comparison
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.run import execute
from masam_jax.training.storage.atomic_files import plain, write_json

DIAGNOSIS_FILE = "diagnosis.json"
# Intervals of fewer are said to be of little worth.
_FEW_SEEDS = 4


def plan_diagnosis(
    experiment: Experiment,
    inputs: InputConfig | None = None,
    report: OnSample | None = None,
    data: Data | None = None,
) -> Plan:
    """Checks a diagnosis.

    Args:
      experiment: what is trained: each modality alone, all of them by the fusion loss, and with
        unimodal losses too.
      inputs: where data are, and how they are read.
      report: told how far data are that are prepared first.
      data: the data set, where the configuration's name is not enough to open it.

    Raises:
      RunError: as ``plan_comparison``; also regression, one modality, or a network
        that shares its encoder.
    """
    architecture = experiment.model.architecture
    if architecture != "late_fusion":
        raise RunError(
            f"architecture={architecture} has one encoder for all modalities, and a diagnosis"
            " compares those of each; expected late_fusion"
        )
    methods = tuple(map(parse_method, METHODS))
    plan = plan_comparison(
        methods,
        parse_method(JOINT),
        experiment,
        inputs=inputs,
        report=report,
        data=data,
        measurement=FlatnessAlongTraining,
    )
    modalities = plan.problem.modalities
    if plan.problem.data.is_regression:
        raise RunError(f"a diagnosis {NEEDS_CLASSES}")
    if len(modalities) < 2:
        raise RunError(
            f"{plan.problem.data.name} has one modality, {modalities[0]}; a diagnosis needs two"
        )
    count = experiment.seeds.seeds
    if count < _FEW_SEEDS:
        told = f"intervals of {count} seed{'s' if count > 1 else ''} say little; take 8 or more"
        plan = dataclasses.replace(plan, warnings=(*plan.warnings, told))
    return plan


def execute_diagnosis(
    plan: Plan,
    output: OutputConfig,
    command: Sequence[str] = (),
    progress: ProgressReport | None = None,
    interrupt: InterruptRequest | None = None,
) -> Diagnosis:
    """Trains what is planned and not yet done, and says what is wrong, and what answers it.

    Writes ``diagnosis.json`` and, unless ``output.no_plots``, ``diagnosis.html`` into the run
    directory, which is that of a comparison.

    Args:
      plan: of `plan_diagnosis`.
      output: where to, and whether to go on there.
      command: the command line, for ``environment.json``.
      progress: shows the course; nothing when None.
      interrupt: asked between steps whether to stop; one of its own when None.

    Raises:
      RunError: the directory or a checkpoint in it cannot be used.
      InterruptedRun: a signal came; every step that was taken is saved.
      OSError: something could not be written.
    """
    progress = progress or ProgressReport(Console(quiet=True))
    path = execute(plan, output, list(command), progress, interrupt)
    with user_errors():
        record = read_directory(path)
    tasks = {task.method.spec: task for task in plan.tasks}
    observed = observe(plan.problem, tasks, record)
    found = conclude(observed)
    found = dataclasses.replace(found, remedies=remedies_of(found, plan.problem.experiment))
    found = dataclasses.replace(found, verdict=verdict_of(found))
    write_json(path / DIAGNOSIS_FILE, plain({**found.as_json(), "by_seed": observed.by_seed()}))
    if not output.no_plots:
        write_page(found, observed, record)
    return found
