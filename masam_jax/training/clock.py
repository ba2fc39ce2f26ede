"""The seconds that a run took, of all of its sessions."""

import dataclasses
import time

from masam_jax.training.storage.checkpoints import RunProgress


class Clock:
    """Seconds of all sessions of a run."""

    def __init__(self, done: RunProgress) -> None:
        """Starts; ``done`` is how far the sessions before came."""
        self._done = done
        self._start = time.perf_counter()
        self._compile = 0.0
        self._has_evaluated = False

    def compiled(self) -> None:
        """The first step was taken, which is compiling for the most part."""
        self._compile = time.perf_counter() - self._start

    def evaluated(self, seconds: float) -> None:
        """An evaluation took so long; the first one is compiling, too."""
        if not self._has_evaluated:
            self._compile += seconds
        self._has_evaluated = True

    def paused(self, seconds: float) -> None:
        """So long something else was done, which does not count."""
        self._start += seconds

    def progress(self, step: int) -> RunProgress:
        """How far the run is after ``step`` steps."""
        return dataclasses.replace(
            self._done,
            step=step,
            seconds=self._done.seconds + time.perf_counter() - self._start,
            compile_seconds=self._done.compile_seconds + self._compile,
        )
