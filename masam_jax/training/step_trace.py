"""``--profile``: what host and devices do in a few training steps, for Perfetto and XProf."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import jax

from masam_jax.config.errors import RunError
from masam_jax.training.progress_report import ProgressReport

# Calls of the step: the first compiles, and what follows it for the first time does, too.
_WARM_UP = 2
_TRACED = 3

CALL_NAME = "train"
"""What a call of the step is named in the trace."""


def check_profiler() -> None:
    """Refuses to trace where the profiler would end the process.

    Raises:
      RunError: libtpu is loaded, and there is no TPU.
    """
    platforms = jax.config.values["jax_platforms"]
    loaded = not platforms or "tpu" in platforms.split(",")
    if loaded and importlib.util.find_spec("libtpu") and jax.default_backend() != "tpu":
        raise RunError(
            "--profile: libtpu is installed and there is no TPU, where JAX's profiler crashes; set"
            " JAX_PLATFORMS to what there is, as JAX_PLATFORMS=cpu, or leave --profile out"
        )


class StepTrace:
    """Traces three calls of a session's training step, after two that warm up.

    What lies between these calls is in the trace as well: logging, an evaluation, a checkpoint. A
    call is one step, or a stretch of steps. Entered around the loop; one that ends before these
    calls leaves a trace of those there were.
    """

    def __init__(self, directory: Path | None, title: str, progress: ProgressReport) -> None:
        """Of one method.

        Args:
          directory: where ``plugins/profile/TIME/`` is made, as XProf wants it; None for no trace.
          title: the method's.
          progress: told where the trace is.
        """
        self._directory = directory
        self._title = title
        self._progress = progress
        self._calls = 0
        self._first: int | None = None

    @contextmanager
    def call(self, step: int, state: Any) -> Iterator[None]:
        """Within it, the step is called.

        Args:
          step: the number of the call's first step.
          state: what the step is given, which is waited for where the trace begins or ends.

        Raises:
          RunError: the profiler does not start.
        """
        if self._directory is None:
            yield
            return
        if self._calls == _WARM_UP:
            jax.block_until_ready(state)
            self._start(step)
        elif self._calls == _WARM_UP + _TRACED:
            jax.block_until_ready(state)
            self._stop(step)
        self._calls += 1
        with jax.profiler.StepTraceAnnotation(CALL_NAME, step_num=step):
            yield

    def end(self, step: int, state: Any) -> None:
        """The loop has ended after that many steps, with this state."""
        if self._first is not None:
            jax.block_until_ready(state)
            self._stop(step)
        elif self._directory is not None and self._calls <= _WARM_UP:
            self._progress.note(f"{self._title}: no trace, for the run ended within its warm-up")

    def __enter__(self) -> "StepTrace":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._first is not None:
            self._stop(None)

    def _start(self, step: int) -> None:
        try:
            jax.profiler.start_trace(str(self._directory), create_perfetto_trace=True)
        except RuntimeError as error:
            raise RunError(
                f"--profile: JAX's profiler does not start: {error} Leave --profile out, or end the"
                " other trace"
            ) from error
        self._first = step

    def _stop(self, step: int | None) -> None:
        """Writes the trace; where that fails, says so, for the run can do without it."""
        steps = f"from step {self._first}" if step is None else f"of steps {self._first} to {step}"
        self._first = None
        try:
            jax.profiler.stop_trace()
        except (OSError, RuntimeError, ValueError) as error:
            self._progress.note(f"{self._title}: the trace could not be written: {error}")
        else:
            self._progress.note(f"{self._title}: trace {steps} in {self._directory}")
