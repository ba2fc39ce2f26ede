"""What a logger of metrics is."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class MetricsLogger(Protocol):
    """Gets every metric of one method's run, and takes them wherever it likes."""

    def write(self, step: int, values: Mapping[str, np.ndarray]) -> None:
        """Logs the metrics of a step.

        Args:
          step: steps that were taken.
          values: float64 ``[S]``, one number a seed, by a name such as ``train/loss`` or
            ``validation/unimodal_accuracy/audio``; NaN where there is none.
        """

    def sync(self) -> None:
        """A checkpoint is about to claim the steps that were logged; what is held back goes out."""

    def close(self) -> None:
        """The run ends, or pauses: it may be opened again for a later step."""


OpenLogger = Callable[[Path, int, Mapping[str, Any]], MetricsLogger]
"""``(directory, step, config) -> logger``: of the run in ``directory``, which exists.

``step`` steps are behind the run. Those after it may have been logged before: a run that was killed
computes, and logs, them once more. ``config`` is the content of the run's ``config.json``.
"""
