"""Ctrl-C, SIGTERM and SIGHUP as a request that the training loop answers between two steps."""

import signal
import threading
from collections.abc import Callable
from types import FrameType

from masam_jax.training.process_group import process_group

# SIGHUP: the terminal was closed. Windows has none.
STOPPING = (signal.SIGINT, signal.SIGTERM, *filter(None, [getattr(signal, "SIGHUP", None)]))


class InterruptedRun(KeyboardInterrupt):
    """A signal stopped the run.

    Attributes:
      step: the step of the last checkpoint, None without one and between two methods.
      signal_number: the signal.
      saved: whether something new was saved, rather than that there was nothing to save.
    """

    def __init__(self, step: int | None, signal_number: int, saved: bool = True) -> None:
        super().__init__(f"interrupted by signal {signal_number} at step {step}")
        self.step = step
        self.signal_number = signal_number
        self.saved = saved


class InterruptRequest:
    """While entered, the first signal is kept for the loop; a second SIGINT stops at once.

    Where no step is unsaved, so does the first. Several processes stop at one step, whichever of
    them it came to. A SIGHUP that is ignored, as under ``nohup``, stays so.

    Attributes:
      signal_number: the signal that came, None so far.
      active: whether it is entered, and signals come here.
      unsaved: whether steps were taken that no checkpoint holds.
      last_saved: the step of the last checkpoint, None without one.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.active = False
        self.unsaved = False
        self.last_saved: Callable[[], int | None] = lambda: None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "InterruptRequest":
        # Python delivers signals to the main thread alone.
        if threading.current_thread() is threading.main_thread():
            self._previous = take_signals(self._receive)
            self.active = True
        return self

    def __exit__(self, *error: object) -> None:
        self.active = False
        give_back_signals(self._previous)
        self._previous = {}

    def reached(self) -> bool:
        """Passes a point where the run may stop, and says whether it is to stop there.

        All processes pass the same ones in the same order: see
        `masam_jax.training.common_stop.CommonStop`.
        """
        group = process_group()
        if group is None:
            return self.signal_number is not None
        agreed = group.stop.reached()
        if agreed is not None:
            self.signal_number = agreed
        return agreed is not None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number is not None:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.signal_number = number
        if group := process_group():
            group.stop.ask(number)
        elif not self.unsaved:
            raise InterruptedRun(self.last_saved(), number, saved=False)


def take_signals(handler: object) -> dict[int, object]:
    """Sends the signals that stop a program to a handler; from the main thread.

    Args:
      handler: as ``signal.signal`` takes it.

    Returns:
      The handlers that were there before, for `give_back_signals`.
    """
    previous: dict[int, object] = {}
    for number in STOPPING:
        ignored = signal.getsignal(number) == signal.SIG_IGN
        if not (ignored and number not in (signal.SIGINT, signal.SIGTERM)):
            previous[number] = signal.signal(number, handler)  # type: ignore[arg-type]
    return previous


def give_back_signals(previous: dict[int, object]) -> None:
    """Undoes `take_signals`."""
    for number, handler in previous.items():
        signal.signal(number, handler)  # type: ignore[arg-type]
