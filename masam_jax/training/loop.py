"""Training one method: from its last checkpoint, if there is one, to its ``result.json``."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from masam_jax.training.class_counts import write_counts
from masam_jax.training.course import Course, OnEvaluation
from masam_jax.training.interrupt import InterruptedRun, InterruptRequest
from masam_jax.training.linear_probes import LinearProbes
from masam_jax.training.measurement import MakeMeasurement, Measuring
from masam_jax.training.parameter_copies import ParameterCopies
from masam_jax.training.predictions import Predict
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.state import abstract_state, init_state
from masam_jax.training.step_trace import StepTrace
from masam_jax.training.storage.atomic_files import plain
from masam_jax.training.storage.checkpoints import Checkpoints, RunProgress
from masam_jax.training.storage.loggers import OpenLogger
from masam_jax.training.storage.metrics_log import DAMAGED_FILE, MetricsLog
from masam_jax.training.storage.processes import barrier, is_primary
from masam_jax.training.storage.sealed_files import write_sealed_json
from masam_jax.training.task import Task


def train_method(
    task: Task,
    directory: Path,
    config: dict[str, Any],
    *,
    predict: Predict,
    probes: LinearProbes | None = None,
    progress: ProgressReport,
    interrupt: InterruptRequest,
    on_evaluation: OnEvaluation | None = None,
    fall_back: bool = False,
    loggers: Sequence[OpenLogger] = (),
    make_measurement: MakeMeasurement | None = None,
    profile: bool = False,
) -> dict[str, Any]:
    """Trains all seeds with one method, from the last checkpoint in ``directory`` if there is one.

    Writes ``metrics.jsonl``, ``checkpoints/``, ``confusion.json`` (of classes) and, at last,
    ``result.json``. A run that was killed and is called again ends with the same numbers, bit for
    bit, as one that was not: the state is all there is, and batch t is a function of t.

    Args:
      task: the method, with data, splits and network.
      directory: the method's directory, which exists.
      config: its configuration, kept in the checkpoints.
      predict: of ``Predictors``, which compiles once for methods that predict alike.
      probes: measures each encoder by itself at the end; None to leave that out.
      progress: shows the course.
      interrupt: asked between steps whether to stop.
      on_evaluation: told of every evaluation; what it raises ends the run.
      fall_back: where the last checkpoint is damaged, whether to go on from the last whole one.
      loggers: what opens the loggers that are told of every metric.
      make_measurement: what measures along training, where the configuration asks for that; None
        to leave it out.
      profile: whether a few steps of this session are traced, into ``profile/``.

    Returns:
      The content of ``result.json``.

    Raises:
      InterruptedRun: ``interrupt`` asked; the state is saved, if a step was taken.
      RunError: the checkpoint found is damaged or foreign, or the profiler does not start.
      OSError: something could not be written.
    """
    method = task.method
    with ExitStack() as stack:
        checkpoints = stack.enter_context(Checkpoints(directory / "checkpoints", config))
        if checkpoints.latest_step is None:
            state, done = init_state(task), RunProgress()
        else:
            last = checkpoints.latest_step
            state, done = checkpoints.restore(abstract_state(task), fall_back)
            if done.step != last:
                progress.note(
                    f"{method.title}: the checkpoint of step {last} is damaged; going on from"
                    f" step {done.step}"
                )
        log = None
        if is_primary():
            log = stack.enter_context(MetricsLog(directory, done.step, loggers, config))
        if log is not None and log.damaged:
            progress.note(
                f"{method.title}: metrics.jsonl was damaged in line"
                f" {', '.join(map(str, log.damaged))}; what was there is in {DAMAGED_FILE} now"
            )
        traced = directory / "profile" if profile and is_primary() else None
        course = Course(
            task,
            predict,
            probes,
            checkpoints,
            log,
            progress,
            interrupt,
            on_evaluation,
            Measuring(task, make_measurement, log),
            ParameterCopies(task, directory),
            StepTrace(traced, method.title, progress),
        )
        interrupt.unsaved, interrupt.last_saved = False, lambda: checkpoints.saved_step
        state, done = course.run(state, done)
        # What follows reads the state, and is done again by who resumes.
        checkpoints.wait()
        interrupt.unsaved = False
        if interrupt.reached():
            raise InterruptedRun(done.step, interrupt.signal_number or 0)
        report, counts = course.report(state)
        result = {
            "spec": method.spec,
            "slug": method.slug,
            "title": method.title,
            "dataset": task.problem.data.name,
            "metric": task.problem.metric,
            "seeds": list(task.problem.experiment.seeds.values),
            "steps": done.step,
            **report,
            "seconds": done.seconds,
            "compile_seconds": done.compile_seconds,
            "steps_per_second": done.step / max(done.seconds - done.compile_seconds, 1e-9),
            "flops_per_step": done.flops_per_step,
        }
    result = plain(result)
    if is_primary():
        split = task.problem.experiment.evaluation.report_split
        if counts is not None:
            write_counts(directory, split, result["seeds"], counts)
        write_sealed_json(directory / "result.json", result)
    barrier(f"finished {method.slug}")
    return result
