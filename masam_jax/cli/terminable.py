"""SIGTERM and SIGHUP as Ctrl-C, where nothing has to be saved first."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from masam_jax.training.interrupt import give_back_signals, take_signals


class Terminated(KeyboardInterrupt):
    """A signal came that is not Ctrl-C.

    Attributes:
      signal_number: the signal.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"signal {signal_number}")
        self.signal_number = signal_number


@contextlib.contextmanager
def terminable(on_signal: Callable[[], None] | None = None) -> Iterator[None]:
    """While entered, SIGTERM and SIGHUP raise `Terminated`, so that what was begun is cleaned up.

    Args:
      on_signal: called first, also for Ctrl-C.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if on_signal is not None:
            on_signal()
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise Terminated(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = take_signals(stop)
    try:
        yield
    finally:
        give_back_signals(previous)
