"""The point at which all processes of a run stop, once a signal came to any of them.

Every process passes the same points in the same order: after each step, after each method. None may
stop where another has gone on, whose collectives it would leave alone. So a process that learns of
the signal passes no further point until all have said how many they have passed; the next point
after the largest of these numbers is one that nobody has passed, and that everybody reaches. A
process that waits meanwhile for another one's part of a step gets it, since that one goes on to the
same point.
"""

import threading

from masam_jax.training.storage.key_values import KeyValues

_ASKED, _PASSED = "stop/asked", "stop/passed"


class CommonStop:
    """Counts points, and finds the one to stop at.

    The main thread passes points, and `ask` is called by its signal handler; `exchange` belongs to
    the thread that talks to the other processes. Passing a point takes a lock and an addition.
    """

    def __init__(self, process: int, processes: int) -> None:
        """For one of several processes."""
        self._process = process
        self._processes = processes
        self._changed = threading.Condition()
        self._passed = 0
        self._wanted: int | None = None
        self._asked: int | None = None
        self._stop_after: int | None = None

    @property
    def is_pending(self) -> bool:
        """Whether a signal came and the point is not found yet."""
        return (self._wanted, self._asked) != (None, None) and self._stop_after is None

    @property
    def is_reached(self) -> bool:
        """Whether this process is at the point to stop at."""
        return self._passed == self._stop_after

    def ask(self, signal_number: int) -> None:
        """All processes shall stop; takes no lock, which the main thread may be holding."""
        self._wanted = signal_number

    def reached(self) -> int | None:
        """Passes a point; at the one to stop at, the number of the signal instead, again and again.

        Waits while that point is being found.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._asked is None or self._stop_after is not None)
            if self._passed == self._stop_after:
                return self._asked
            self._passed += 1
            return None

    def exchange(self, values: KeyValues) -> None:
        """Tells the other processes, and learns from them, what there is to know by now."""
        if self._stop_after is not None:
            return
        if self._wanted is not None:
            values.put_first(_ASKED, str(self._wanted))
        asked = values.get(_ASKED)
        if asked is None:
            return
        if self._asked is None:
            with self._changed:
                self._asked, passed = int(asked), self._passed
            values.put_first(f"{_PASSED}/{self._process}", str(passed))
        found = values.below(_PASSED)
        if len(found) == self._processes:
            with self._changed:
                self._stop_after = max(map(int, found.values()))
                self._changed.notify_all()
