"""A watch over the other processes of a run: where one is gone, or failed, all of them end.

A process that lost another one waits for ever: its main thread is inside a collective that the
other one never enters. So each process counts, every half second, in the key-value store that
process 0 offers. Process 0 reads what the others count, and the others are content with its
answers: 2 N short messages, whatever the number N of processes. Who has not counted for the limit
is lost.
"""

import itertools
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable

from masam_jax.training.at_once import end_at_once
from masam_jax.training.common_stop import CommonStop
from masam_jax.training.storage.key_values import KeyValues

LOST = 75
"""The exit code where another process was lost: EX_TEMPFAIL of sysexits.h, to be tried again."""

_INTERVAL = 0.5
# Once something failed that fails where another process is gone: a collective, or a message to
# process 0.
_SUSPECTED_LIMIT = 5.0
_TOLD, _ALIVE, _WHO = "ended", "alive", "who"


class PeerWatch:
    """Threads that watch; `end` is called in one of them, and does not return."""

    def __init__(
        self,
        values: KeyValues,
        process: int,
        processes: int,
        limit: float,
        stop: CommonStop,
        farewell: Callable[[str], str],
        end: Callable[[str, int], object] = end_at_once,
        interval: float = _INTERVAL,
    ) -> None:
        """Watches nothing yet.

        Args:
          values: what the processes leave for each other.
          process: which this is.
          processes: how many there are.
          limit: seconds without a sign of another process after which it is lost.
          stop: is told what the others say of stopping.
          farewell: what to say last, given why the process ends.
          end: ends the process, given that and an exit code.
          interval: seconds between two signs.
        """
        self._values = values
        self._process = process
        self._processes = processes
        self._limit = limit
        self._stop = stop
        self._farewell = farewell
        self._end = end
        self._interval = interval
        self._stopped = threading.Event()
        self._ending = threading.Lock()
        # What is known of the others: a text that changes as long as one lives.
        self._signs: dict[int, str] = {}
        self._who: dict[int, str] = {}

    def start(self) -> None:
        """Says who this is, and begins to watch.

        Raises:
          RuntimeError: the store does not answer.
        """
        me = f"pid {os.getpid()} on {socket.gethostname()}"
        self._values.put(f"{_WHO}/{self._process}", me)
        for target in (self._exchange, self._judge):
            threading.Thread(target=target, name="peers", daemon=True).start()

    def close(self) -> None:
        """Watches no more; the other processes may end from now on."""
        self._stopped.set()

    def suspect(self) -> None:
        """Something failed here that fails where another process is gone: a shorter limit holds."""
        self._limit = min(self._limit, _SUSPECTED_LIMIT)

    def tell(self, reason: str, code: int) -> None:
        """Tells the other processes to end, and gives them time to read it.

        Args:
          reason: why, in words for each of them.
          code: their exit code.
        """
        self.close()
        content = json.dumps({"reason": reason, "code": code})
        # Process 0 may not answer any more.
        telling = threading.Thread(
            target=self._put_told, args=(content,), name="telling", daemon=True
        )
        telling.start()
        telling.join(4 * self._interval)
        if self._process == 0:  # With this process goes the store.
            time.sleep(4 * self._interval)

    def end_without_service(self) -> None:
        """Ends this process, since process 0 closed the connection."""
        self._finish(self._describe([0], "closed the connection: killed, or failed"), LOST)

    def _put_told(self, content: str) -> None:
        try:
            self._values.put_first(_TOLD, content)
        except Exception:  # Whatever it is: nobody is left to be told.
            return

    def _exchange(self) -> None:
        for count in itertools.count():
            if self._stopped.wait(self._interval / 10 if self._stop.is_pending else self._interval):
                return
            try:
                self._values.put(f"{_ALIVE}/{self._process}", str(count))
                told = self._values.get(_TOLD)
                self._look(count)
                self._stop.exchange(self._values)
            except Exception:  # The service does not answer, for whatever reason.
                if self._process:
                    self.suspect()
                continue
            if told is not None:
                content = json.loads(told)
                self._finish(content["reason"], content["code"])
                return

    def _look(self, count: int) -> None:
        """Takes down what shows that others live: what they count, or that process 0 answers."""
        if self._process == 0:
            self._signs = {int(p): sign for p, sign in self._values.below(_ALIVE).items()}
        else:
            self._signs = {0: str(count)}
        if not self._who.keys() >= set(self._watched):
            self._who = {int(p): who for p, who in self._values.below(_WHO).items()}

    @property
    def _watched(self) -> range:
        return range(1, self._processes) if self._process == 0 else range(1)

    def _judge(self) -> None:
        ages, seen = dict.fromkeys(self._watched, 0.0), self._signs
        before = time.monotonic()
        while not self._stopped.wait(self._interval):
            # While this process is stopped itself, nobody ages.
            passed = min(time.monotonic() - before, 4 * self._interval)
            before = time.monotonic()
            signs = self._signs
            for process in ages:
                silent = signs.get(process) == seen.get(process)
                ages[process] = ages[process] + passed if silent else 0.0
            seen = signs
            lost = [process for process, age in ages.items() if age > self._limit]
            if lost:
                silence = (
                    f"gave no sign for {max(ages.values()):.0f} s: killed, stopped, or cut off"
                )
                self._finish(self._describe(lost, silence), LOST)
                return

    def _describe(self, lost: Iterable[int], how: str) -> str:
        named = [f"{p} ({self._who[p]})" if p in self._who else str(p) for p in lost]
        which = f"process {named[0]}" if len(named) == 1 else f"processes {', '.join(named)}"
        return f"{which} of {self._processes} {how}"

    def _finish(self, reason: str, code: int) -> None:
        # Both threads may come here; the first one ends the process.
        if not self._ending.acquire(blocking=False) or self._stopped.is_set():
            return
        if self._process == 0:
            self.tell(reason, code)
        self._end(self._farewell(reason), code)
