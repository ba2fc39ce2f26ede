"""Ctrl-C and SIGTERM as a request that the training loop answers between two steps."""

import signal
import threading
from types import FrameType

import jax


class InterruptedRun(Exception):
    """A signal stopped the run after it was saved.

    Attributes:
      step: the step of the checkpoint that was saved, None between two methods.
      signal_number: the signal.
    """

    def __init__(self, step: int | None, signal_number: int) -> None:
        super().__init__(f"interrupted by signal {signal_number} at step {step}")
        self.step = step
        self.signal_number = signal_number


class InterruptRequest:
    """While entered, the first SIGINT or SIGTERM is kept for the loop; the second SIGINT kills.

    Attributes:
      signal_number: the signal that came, None so far.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "InterruptRequest":
        # Python delivers signals to the main thread alone. Several processes get a signal at
        # different steps and cannot save together: there, the last checkpoint is what remains.
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and jax.process_count() == 1:
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._previous.clear()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal_number = number
