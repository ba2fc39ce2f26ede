"""The course of one method's training: steps, and what is logged, evaluated and saved between."""

import dataclasses
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

import jax
import numpy as np

from masam_jax.training.batches import Stretch
from masam_jax.training.class_counts import count_classes
from masam_jax.training.clock import Clock
from masam_jax.training.estimates import Estimates
from masam_jax.training.interrupt import InterruptedRun, InterruptRequest
from masam_jax.training.linear_probes import LinearProbes
from masam_jax.training.measurement import Measuring
from masam_jax.training.metric_names import phrase
from masam_jax.training.parameter_copies import ParameterCopies
from masam_jax.training.predictions import Point, Predict, measure
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.schedule_probe import TrainingProbe
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import TrainState, keep_stopped, record_evaluation
from masam_jax.training.step_trace import StepTrace
from masam_jax.training.storage.checkpoints import Checkpoints, RunProgress
from masam_jax.training.storage.metrics_log import MetricsLog
from masam_jax.training.stretches import MOST, lengths, repeats
from masam_jax.training.task import Task
from masam_jax.training.train_record import leading_modality, make_train_record

# Told the step, and the validation score averaged over seeds.
OnEvaluation = Callable[[int, float], None]


def reported_point(state: TrainState, best: bool) -> Point:
    """What predicts after the last step, or each seed's best: parameters, or their average."""
    if best:
        return Point(state.best_params, state.best_statistics, state.best_method_state)
    predicting = state if state.average is None else state.average
    return Point(predicting.params, predicting.statistics, state.method_state)


class Course:
    """One session of training a method: from a checkpoint, or the beginning, to its end."""

    def __init__(
        self,
        task: Task,
        predict: Predict,
        probes: LinearProbes | None,
        checkpoints: Checkpoints,
        log: MetricsLog | None,
        progress: ProgressReport,
        interrupt: InterruptRequest,
        on_evaluation: OnEvaluation | None,
        measuring: Measuring,
        copies: ParameterCopies,
        trace: StepTrace,
    ) -> None:
        self._task = task
        self._problem = problem = task.problem
        self._checkpoints = checkpoints
        self._log = log
        self._progress = progress
        self._interrupt = interrupt
        self._on_evaluation = on_evaluation
        self._evaluation = problem.experiment.evaluation
        self._steps = task.steps
        self._predict = predict
        self._probes = probes
        self._train_record = make_train_record(problem)
        self._looks = (
            self._evaluation.log_every,
            task.evaluate_every,
            task.checkpoint_every,
            task.period,
            measuring.every,
            copies.every,
        )
        self._size: int | None = None
        if stretched := repeats(task):
            self._size = min([MOST, task.steps, *(n for n in self._looks if n is not None)])
        self._seed_step = SeedStep(task, stretched=stretched)
        self._probe = None
        if task.period is not None:
            self._probe = TrainingProbe(task, self._seed_step, self._size)
        self._measuring = measuring
        self._copies = copies
        self._trace = trace

    def run(self, state: TrainState, done: RunProgress) -> tuple[TrainState, RunProgress]:
        """Trains until the last step, or until every seed has stopped."""
        self._progress.begin(self._task.method.title, self._steps, done.step)
        clock = Clock(done)
        step = done.step
        finished = step >= self._steps or self._all_stopped(state)
        if not step:
            clock.paused(self._copies(step, reported_point(state, best=False).params, finished))
        with closing(self._stretches(step)) as stretches, self._trace as trace:
            upcoming = None if finished else next(stretches)
            while upcoming is not None and not finished:
                state = self._revise(state, step)
                with trace.call(step, state):
                    state, losses = self._seed_step.stretch(state, upcoming)
                self._interrupt.unsaved = True
                step += upcoming.length
                # Placed while the devices are at work.
                upcoming = next(stretches, None)
                if step == done.step + 1:
                    jax.block_until_ready(state.params)
                    clock.compiled()
                last = step == self._steps
                if last or step % self._evaluation.log_every == 0:
                    self._log_training(step, losses, state)
                if last or step % self._task.evaluate_every == 0:
                    begin = time.perf_counter()
                    state = self._evaluate(step, state)
                    clock.evaluated(time.perf_counter() - begin)
                    finished = self._all_stopped(state)
                finished = finished or last
                clock.paused(self._beside(step, state, finished))
                stopping = self._interrupt.reached()
                if finished or stopping or step % self._task.checkpoint_every == 0:
                    self._save(state, self._progress_at(clock, done, step))
                if stopping and not finished:
                    self._checkpoints.wait()
                    raise InterruptedRun(step, self._interrupt.signal_number or 0)
            trace.end(step, state)
        self._progress.end(
            step,
            f"done at step {step}, validation {phrase(self._problem.metric)}"
            f" {self._score(state):.4f}",
        )
        return state, self._progress_at(clock, done, step)

    def _stretches(self, step: int) -> Generator[Stretch, None, None]:
        """What is trained on from that step on, in stretches that end where the loop looks."""
        cycle = self._task.method.cycle
        each = lengths(step, self._steps, self._looks, lambda: self._seed_step.longest, cycle)
        return self._task.batches.stretches(step, each, self._size)

    def _beside(self, step: int, state: TrainState, finished: bool) -> float:
        """Measures and keeps what is due; the seconds that it took."""
        point = reported_point(state, best=False)
        seconds = self._measuring(step, point, finished)
        return seconds + self._copies(step, point.params, finished)

    def report(self, state: TrainState) -> tuple[dict[str, Any], np.ndarray | None]:
        """Metrics of the reported parameters, by split; counts of classes on the reported one.

        None for the counts of regression.
        """
        best = self._evaluation.report == "best"
        point = reported_point(state, best)
        # Tuning must not look at the test samples.
        reported = self._evaluation.report_split
        predictions = {
            split: self._predict(point, self._problem.indices(split))
            for split in dict.fromkeys((reported, "validation"))
        }
        num_classes, metric = self._problem.data.num_classes, self._problem.metric
        report: dict[str, Any] = {
            split: measure(found, num_classes, metric) for split, found in predictions.items()
        }
        if self._probes is not None:
            report[reported][self._probes.name] = self._probes.scores(point, reported)
        report["best_step"] = self._problem.placement.fetch(state.best_step)
        found = predictions[reported]
        if isinstance(found, Estimates):
            return report, None
        return report, count_classes(np.asarray(found.labels), found.fused, num_classes)

    def _revise(self, state: TrainState, step: int) -> TrainState:
        """The state for this step, revised by the method's schedule when it is due."""
        if self._probe is None or self._task.period is None or step % self._task.period:
            return state
        probe = self._probe.at(state, step)
        revised = self._task.schedule.revise(
            probe, state.params, state.opt_state, state.method_state
        )
        return keep_stopped(state, revised)

    def _progress_at(self, clock: Clock, done: RunProgress, step: int) -> RunProgress:
        trials = 0 if self._probe is None else self._probe.trial_steps
        return dataclasses.replace(
            clock.progress(step),
            trial_steps=done.trial_steps + trials,
            step_flops=self._seed_step.flops or done.step_flops,
        )

    def _log_training(self, step: int, losses: Any, state: TrainState) -> None:
        record = {"step": step, "split": "train", **self._train_record(losses, state)}
        if self._log is not None:
            self._log.write(record)
        self._progress.update(
            step,
            loss=float(np.mean(record["total_loss"])),
            accuracy=float(np.mean(record["accuracy"])) if "accuracy" in record else None,
            dominant=leading_modality(record.get("dominant")),
        )

    def _evaluate(self, step: int, state: TrainState) -> TrainState:
        indices = self._problem.indices("validation")
        predictions = self._predict(reported_point(state, best=False), indices)
        metric = self._problem.metric
        metrics = measure(predictions, self._problem.data.num_classes, metric)
        if self._log is not None:
            self._log.write({"step": step, "split": "validation", **metrics})
        if self._on_evaluation is not None:
            self._on_evaluation(step, float(np.mean(metrics[metric])))
        least = self._evaluation.min_epochs * self._task.steps_per_epoch
        return record_evaluation(self._problem, state, metrics[metric], step, least)

    def _score(self, state: TrainState) -> float:
        """Mean validation score over seeds at the last evaluation."""
        return float(np.mean(self._problem.placement.fetch(state.score)))

    def _save(self, state: TrainState, progress: RunProgress) -> None:
        if self._checkpoints.latest_step == progress.step:
            return
        if self._log is not None:
            self._log.sync()
        self._checkpoints.save(state, progress, self._score(state))

    def _all_stopped(self, state: TrainState) -> bool:
        if self._evaluation.patience is None:
            return False
        return bool(np.all(self._problem.placement.fetch(state.stopped)))
