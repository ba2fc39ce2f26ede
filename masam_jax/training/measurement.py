"""Measuring the networks along training: what it is, and when. Who plans a run brings the how."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from masam_jax.training.predictions import Point
from masam_jax.training.storage.metrics_log import MetricsLog
from masam_jax.training.task import Task

SPLIT = "geometry"
"""What stands for the split in the records of measurements."""


class Measurement(Protocol):
    """What is measured beside metrics; a function of its argument alone, so that runs resume."""

    def __call__(self, point: Point) -> Mapping[str, Any]:
        """Numbers by name, NumPy arrays ``[S]`` or ``{modality: [S]}``; NaN where there is none.

        Args:
          point: parameters after a step, ``[S, ...]``, which are not to be changed.
        """


MakeMeasurement = Callable[[Task], Measurement]
"""Of one method on one problem; raises ``ValueError`` where that cannot be measured."""


class Measuring:
    """The measurements of one session of training; none where the configuration asks for none.

    Attributes:
      every: steps between two of them, None for none.
    """

    def __init__(
        self, task: Task, make_measurement: MakeMeasurement | None, log: MetricsLog | None
    ) -> None:
        """Of a method.

        Args:
          task: the method.
          make_measurement: what measures; None for nothing.
          log: where records go; None on processes that write nothing.
        """
        evaluation = task.problem.experiment.evaluation
        self._log = log
        self.every: int | None = None
        self._measure = None
        if evaluation.measures and make_measurement is not None:
            self._measure = make_measurement(task)
            self.every = evaluation.measure_every * task.steps_per_epoch

    def __call__(self, step: int, point: Point, finished: bool) -> float:
        """Measures where that is due: every so many epochs, and at the end.

        Args:
          step: steps done.
          point: the parameters that predict, ``[S, ...]``.
          finished: whether that was the last step.

        Returns:
          The seconds that it took.
        """
        if self._measure is None or self.every is None or (step % self.every and not finished):
            return 0.0
        begin = time.perf_counter()
        found = self._measure(point)
        if self._log is not None:
            self._log.write({"step": step, "split": SPLIT, **found})
        return time.perf_counter() - begin
