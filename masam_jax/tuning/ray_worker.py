"""What a process of a Ray cluster does for ``masam tune``: trials of the driver's choice."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import importlib
import queue
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from masam_jax.config import Experiment, InputConfig
from masam_jax.config.errors import RunError
from masam_jax.data.on_disk import Data
from masam_jax.data.standardization import Statistics
from masam_jax.methods import BoundMethod, parse_method
from masam_jax.training.distribution import make_placement
from masam_jax.training.interrupt import InterruptedRun, InterruptRequest
from masam_jax.training.kept_programs import kept_programs
from masam_jax.training.problem import Problem, build_problem
from masam_jax.tuning.trials import Trials

StepScore = tuple[int, float]
"""A step, and the validation score averaged over seeds."""


@dataclasses.dataclass(frozen=True)
class SentMethod:
    """A method as it travels to a worker: functions that methods are made of do not.

    Attributes:
      spec: its specification.
      module: what registers it when it is imported.
    """

    spec: str
    module: str

    @classmethod
    def of(cls, method: BoundMethod) -> "SentMethod":
        """What a worker needs to know of a method.

        Raises:
          RunError: it is of the program that was started, which workers do not run.
        """
        module = method.method.options.__module__
        if module == "__main__":
            raise RunError(
                f"engine 'ray': method {method.method.name!r} is defined in the program itself;"
                " put it in a module, which workers can import"
            )
        return cls(method.spec, module)

    def bind(self) -> BoundMethod:
        """The method, in the worker."""
        importlib.import_module(self.module)
        return parse_method(self.spec)


@dataclasses.dataclass(frozen=True)
class SentProblem:
    """A problem as it travels to a worker: what it is built from, rather than compiled programs.

    Attributes:
      experiment: the configuration, of the modalities that ``data`` have.
      inputs: how data on disk are read.
      data: the data as the driver opened them.
      fitted: what decoding needs to know of the training samples.
      statistics: ``{m: (mean [S, D], std [S, D])}``.
      keeps_programs: whether compiled programs are kept.
    """

    experiment: Experiment
    inputs: InputConfig
    data: Data
    fitted: Any
    statistics: Statistics
    keeps_programs: bool

    @classmethod
    def of(cls, problem: Problem) -> "SentProblem":
        """What a worker needs to know of a problem."""
        whole = problem.experiment
        experiment = dataclasses.replace(
            whole, data=dataclasses.replace(whole.data, modalities=()), model=whole.chosen_model
        )
        return cls(
            experiment,
            InputConfig(workers=problem.ahead.workers, threads=problem.ahead.threads),
            problem.opened,
            problem.fitted,
            problem.host_statistics,
            bool(jax.config.values["jax_compilation_cache_dir"]),
        )

    def build(self) -> Problem:
        """The problem, on the worker's devices."""
        return build_problem(
            self.experiment, make_placement, self.data, self.inputs, self.fitted, self.statistics
        )


class RayWorker:
    """An actor: trains one trial at a time, and may be told meanwhile to stop it."""

    # `train` and `stop`.
    THREADS = 2

    def __init__(self, problem: SentProblem) -> None:
        """Builds nothing yet, so that what fails is an error of the first trial."""
        self._sent = problem
        self._interrupt = InterruptRequest()
        self._training: concurrent.futures.Future[list[float]] | None = None
        self._programs = contextlib.ExitStack()

    @functools.cached_property
    def _problem(self) -> Problem:
        self._programs.enter_context(kept_programs(self._sent.keeps_programs))
        return self._sent.build()

    def train(self, method: SentMethod) -> Iterator[StepScore | list[float]]:
        """Trains a method.

        Yields:
          Every evaluation when it is made; then the validation score of every seed, unless
          `stop` was called.

        Raises:
          RunError: as training does, and so the rest.
        """
        evaluations: queue.SimpleQueue[StepScore | None] = queue.SimpleQueue()
        self._interrupt.signal_number = None
        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            self._training = training = thread.submit(self._train, method, evaluations)
            training.add_done_callback(lambda _: evaluations.put(None))
            while (evaluation := evaluations.get()) is not None:
                yield evaluation
            with contextlib.suppress(InterruptedRun):
                yield training.result()

    def stop(self) -> None:
        """Ends the trial under way after its step, and waits until it has."""
        self._interrupt.signal_number = signal.SIGTERM
        if self._training is not None:
            concurrent.futures.wait([self._training])

    def _train(
        self, method: SentMethod, evaluations: "queue.SimpleQueue[StepScore | None]"
    ) -> list[float]:
        def on_evaluation(step: int, score: float) -> None:
            evaluations.put((step, score))

        with tempfile.TemporaryDirectory(prefix="masam_jax-") as directory:
            trials = Trials(self._problem, Path(directory) / "trial", self._interrupt)
            return trials.train(method.bind(), on_evaluation)
