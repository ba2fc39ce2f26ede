"""A thread that answers signals while the main thread is inside a compiler and cannot."""

import os
import signal
import threading
from collections.abc import Callable

from masam_jax.training.at_once import end_at_once, say
from masam_jax.training.interrupt import STOPPING, InterruptRequest
from masam_jax.training.process_group import process_group

# Seconds that the main thread has to take a signal, where there is nothing to save.
_GRACE = 2.0


class SignalWatch:
    """While entered, each signal has an answer at once, whatever the main thread does.

    The first one, where steps are unsaved, is told that they are being saved. Where there are none,
    and the main thread does not take it, the process ends: what is on the disk is whole at any
    moment. So it does, without any grace, at a second Ctrl-C.

    Attributes:
      taken: whether the main thread got the signal.
    """

    def __init__(self, request: InterruptRequest, farewell: Callable[[str], str]) -> None:
        """Watches signals.

        Args:
          request: of the run.
          farewell: what to say last, given why the process ends.
        """
        self.taken = False
        self._request = request
        self._farewell = farewell
        self._count = 0
        self._ended = threading.Event()
        self._pipe: tuple[int, int] | None = None
        self._previous = -1

    def __enter__(self) -> "SignalWatch":
        if threading.current_thread() is threading.main_thread():
            self._pipe = os.pipe()
            os.set_blocking(self._pipe[1], False)
            self._previous = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
            threading.Thread(target=self._watch, args=self._pipe[:1], daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._pipe is not None:
            signal.set_wakeup_fd(self._previous)
            # The thread reads its end, and closes the other one.
            os.close(self._pipe[1])
            self._pipe = None

    def take(self) -> None:
        """The main thread got the signal, and is about to end."""
        self.taken = True

    def _watch(self, reader: int) -> None:
        while numbers := os.read(reader, 16):
            for number in numbers:
                if number in STOPPING:
                    self._answer(number)
        os.close(reader)

    def _answer(self, number: int) -> None:
        name = signal.Signals(number).name
        self._count += 1
        if self._count > 1 and number == signal.SIGINT:
            self._end(number, f"stopped at once: {self._lost()}")
        if self._count > 1:
            return
        if self._request.active and self._request.unsaved:
            say(f"{name}: this step is finished and saved first; Ctrl-C now stops at once")
            return
        if not self._ended.wait(_GRACE) and not self._was_taken:
            self._end(number, f"interrupted: {self._lost()}")
        # Other processes may hold the main thread up for ever.
        if process_group() and not self._ended.wait(_GRACE):
            self._end(number, f"interrupted: {self._lost()}")

    @property
    def _was_taken(self) -> bool:
        return self.taken or self._request.signal_number is not None

    def _lost(self) -> str:
        step = self._request.last_saved()
        since = "the start" if step is None else f"the checkpoint of step {step}"
        if self._request.unsaved:
            return f"steps since {since} are lost"
        return f"no step was taken since {since}"

    def _end(self, number: int, reason: str) -> None:
        if group := process_group():
            group.fail(f"was stopped by {signal.Signals(number).name}", 128 + number)
        end_at_once(self._farewell(reason), 128 + number)
