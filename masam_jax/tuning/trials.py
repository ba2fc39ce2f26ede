"""One trial after the other, trained in a directory that does not outlive it."""

import shutil
from pathlib import Path

from rich.console import Console

from masam_jax.methods import BoundMethod
from masam_jax.training.course import OnEvaluation
from masam_jax.training.interrupt import InterruptedRun, InterruptRequest
from masam_jax.training.loop import train_method
from masam_jax.training.predictions import Predictors
from masam_jax.training.problem import Problem
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.task import Task


class Trials:
    """Trains the methods of all trials, and leaves nothing on the disk."""

    def __init__(self, problem: Problem, directory: Path, interrupt: InterruptRequest) -> None:
        """Of one problem.

        Args:
          problem: data, splits, network.
          directory: where a trial is; nothing of worth may be there.
          interrupt: asked between steps whether to stop.
        """
        self._problem = problem
        self._directory = directory
        self._interrupt = interrupt
        self._predictors = Predictors(problem)
        self._silent = ProgressReport(Console(quiet=True))

    def train(self, method: BoundMethod, on_evaluation: OnEvaluation) -> list[float]:
        """The validation score of every seed; what ``on_evaluation`` raises is passed on.

        Raises:
          InterruptedRun: the request came; nothing is saved.
        """
        if self._interrupt.signal_number is not None:
            raise InterruptedRun(None, self._interrupt.signal_number)
        task = Task(self._problem, method)
        # A killed session may have left one behind.
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir()
        try:
            result = train_method(
                task,
                self._directory,
                {"method": method.spec},
                predict=self._predictors.of(task),
                progress=self._silent,
                interrupt=self._interrupt,
                on_evaluation=on_evaluation,
            )
        except InterruptedRun as error:
            # The step is of no use to who resumes: the trial begins again.
            raise InterruptedRun(None, error.signal_number) from error
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)
        scores: list[float] = result["validation"][self._problem.metric]
        return scores
