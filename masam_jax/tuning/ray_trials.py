"""The trials of all methods on a Ray cluster, as many at a time as there are workers.

Trials of one method follow each other, as the sampler and the pruner learn from those before. So
the study is the one that a single process would have made, whatever the number of workers. This
process alone reads and writes it.
"""

import dataclasses
import pickle
from collections.abc import Callable, Sequence
from typing import Any

from masam_jax.config.engine import RayEngine
from masam_jax.config.errors import RunError
from masam_jax.training.interrupt import InterruptedRun, InterruptRequest
from masam_jax.training.problem import Problem
from masam_jax.tuning.ray_cluster import (
    check_address,
    find_room,
    first_line,
    import_ray,
    open_cluster,
)
from masam_jax.tuning.ray_worker import RayWorker, SentMethod, SentProblem
from masam_jax.tuning.study import MethodStudy, PrunedRun, Trial

# Seconds between two looks whether to stop.
_LOOK = 1.0
# Seconds for trials to end, and to clean up after themselves, before their workers are killed.
_PATIENCE = 10.0
# Workers that may be lost in one trial.
_LOSSES = 3

Announce = Callable[[MethodStudy], None]
"""Told of every trial that ended."""


@dataclasses.dataclass
class _Running:
    """A trial that a worker trains.

    Attributes:
      study: what it is a trial of.
      trial: it.
      worker: the actor's handle.
      stream: what the worker tells.
      step: of the last evaluation that was reported.
      losses: workers that were lost in it.
      ended: whether the study knows its outcome; the worker may have to come to an end yet.
    """

    study: MethodStudy
    trial: Trial
    worker: Any
    stream: Any
    step: int = 0
    losses: int = 0
    ended: bool = False


class RayTrials:
    """Runs studies to their end on the workers of a cluster."""

    def __init__(self, problem: Problem, engine: RayEngine) -> None:
        """Starts nothing yet.

        Args:
          problem: what every trial trains on.
          engine: how many workers, and what each is given.

        Raises:
          RunError: Ray is missing, or nothing answers at ``$RAY_ADDRESS``.
        """
        self._ray = import_ray()
        check_address(self._ray)
        self._problem = problem
        self._engine = engine
        self._idle: list[Any] = []
        self._running: list[_Running] = []
        self._new_worker: Callable[[], Any]

    def run(
        self, studies: Sequence[MethodStudy], announce: Announce, interrupt: InterruptRequest
    ) -> None:
        """Runs every trial that is left.

        Args:
          studies: those of all methods.
          announce: told of every trial that ended.
          interrupt: asked whether to stop.

        Raises:
          RunError: there is no cluster, or no room in it; a method or the data cannot be sent; or
            a trial fails, as in one process.
          InterruptedRun: a signal came; every finished trial is saved.
          OSError: something could not be written.
        """
        waiting = [study for study in studies if study.remaining]
        if not waiting:
            return
        for study in waiting:
            SentMethod.of(study.space.method)  # Raises before anything is begun.
        try:
            with open_cluster(self._ray, self._engine):
                count = self._prepare(len(waiting))
                try:
                    self._run(waiting, count, announce, interrupt)
                finally:
                    self._stop_all()
        except InterruptedRun as error:
            # What a signal meets here is never a step of this process.
            raise InterruptedRun(None, error.signal_number) from error

    def _run(
        self,
        waiting: list[MethodStudy],
        count: int,
        announce: Announce,
        interrupt: InterruptRequest,
    ) -> None:
        while waiting or self._running:
            while waiting and len(self._running) < count:
                # The longest first, so that none is left for the end.
                study = max(waiting, key=lambda study: study.remaining)
                waiting.remove(study)
                if (trial := _next_trial(study, announce)) is not None:
                    worker = self._idle.pop() if self._idle else self._new_worker()
                    self._start(_Running(study, trial, worker, None))
            streams = [running.stream for running in self._running]
            ready = self._ray.wait(streams, timeout=_LOOK)[0] if streams else []
            if interrupt.reached():
                raise InterruptedRun(None, interrupt.signal_number or 0)
            for running in [each for each in self._running if each.stream in ready]:
                known = running.ended
                self._receive(running)
                if running.ended and not known:
                    announce(running.study)
                    waiting.append(running.study)

    def _start(self, running: _Running) -> None:
        method = SentMethod.of(running.trial.method)
        train = running.worker.train.options(num_returns="streaming")
        running.stream = train.remote(method)
        self._running.append(running)

    def _receive(self, running: _Running) -> None:
        """Takes the next thing that a worker tells."""
        try:
            told = self._ray.get(next(running.stream))
        except StopIteration:
            self._running.remove(running)
            self._idle.append(running.worker)
        except (self._ray.exceptions.RayActorError, self._ray.exceptions.OutOfMemoryError) as error:
            self._replace(running, error)
        except self._ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, RunError | OSError | ValueError):
                raise error.cause from error
            raise
        else:
            self._judge(running, told)

    def _judge(self, running: _Running, told: Any) -> None:
        if running.ended:
            return
        if isinstance(told, list):
            running.trial.finish(told)
            running.ended = True
        elif told[0] > running.step:  # Not what a worker told that was lost since.
            running.step = told[0]
            try:
                running.trial.report(*told)
            except PrunedRun:
                running.ended = True
                running.worker.stop.remote()

    def _replace(self, running: _Running, error: Exception) -> None:
        """Begins a trial again whose worker was lost; it comes to the same scores."""
        self._running.remove(running)
        if running.ended:
            return
        running.losses += 1
        if running.losses > _LOSSES:
            raise RunError(
                f"{running.losses} workers of Ray were lost in the trial"
                f" {running.trial.method.spec} ({first_line(error)}); --resume goes on"
            ) from error
        running.worker = self._new_worker()
        self._start(running)

    def _stop_all(self) -> None:
        """Lets workers remove what they wrote, and ends them."""
        workers = [running.worker for running in self._running]
        stops = [worker.stop.remote() for worker in workers]
        if stops:
            self._ray.wait(stops, num_returns=len(stops), timeout=_PATIENCE)
        for worker in [*workers, *self._idle]:
            self._ray.kill(worker)

    def _prepare(self, studies: int) -> int:
        """Sends the problem to the cluster; how many workers there are to be."""
        ray, cpus = self._ray, self._engine.cpus
        room = find_room(ray, self._engine)
        actor = ray.remote(
            num_cpus=cpus, num_gpus=room.gpus, max_concurrency=RayWorker.THREADS, max_restarts=0
        )(RayWorker)
        try:
            problem = ray.put(SentProblem.of(self._problem))
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise RunError(
                f"engine 'ray' cannot send {self._problem.data.name} to workers"
                f" ({first_line(error)}); the engine local takes it"
            ) from error
        self._new_worker = lambda: actor.remote(problem)
        return min(self._engine.workers or room.workers, studies)


def _next_trial(study: MethodStudy, announce: Announce) -> Trial | None:
    """The next trial that has to be trained."""
    while (trial := study.begin()) is not None:
        if not trial.repeats():
            return trial
        announce(study)
    return None
