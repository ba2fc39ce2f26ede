"""What a process does to files below a directory: written down, and one of it deadly.

Python tells its audit hooks of everything that makes, opens for writing, moves or removes a file.
Moments counted in these are the same on a fast machine and on a slow one, and those that matter (a
file is half written, moved next) are met as often as one likes; moments between them are met by a
delay.
"""

import dataclasses
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

_OPERATIONS = {
    "open",
    "os.mkdir",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
    "sqlite3.connect",
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclasses.dataclass(frozen=True)
class Event:
    """What a process was about to do.

    Attributes:
      seconds: since it began to be watched.
      operation: the name of the audit event.
      path: below the directory.
    """

    seconds: float
    operation: str
    path: str


@dataclasses.dataclass(frozen=True)
class Moment:
    """When a process dies.

    Attributes:
      event: it counts what it is about to do; at this one.
      delay: seconds after it; 0 for before it is done.
      calls: or so many calls and returns of functions after it, where a file is half written.
      renamed: or, whatever the count: when what was renamed so is in its place.
    """

    event: int = -1
    delay: float = 0.0
    calls: int = 0
    renamed: str = ""


def watch(below: Path, log: Path, moment: Moment | None) -> None:
    """Writes down what this process does to files from now on, and kills it at a moment."""
    start, count, place = time.monotonic(), 0, str(below)
    renaming = None
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    lock = threading.Lock()

    def hook(operation: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count, renaming
        if operation not in _OPERATIONS:
            return
        path = _path(operation, arguments)
        if path != place and not path.startswith(place + "/"):
            return
        with lock:
            number, count = count, count + 1
            line = f"{time.monotonic() - start:.4f}\t{operation}\t{path[len(place) + 1 :]}\n"
            os.write(descriptor, line.encode())
        if moment is None:
            return
        if renaming == threading.get_ident():
            os.kill(os.getpid(), signal.SIGKILL)
        if operation == "os.rename" and path == os.path.join(place, moment.renamed):
            renaming = threading.get_ident()
        if number != moment.event:
            return
        if moment.delay > 0:
            threading.Timer(moment.delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        elif moment.calls > 0:
            sys.setprofile(_Countdown(moment.calls))
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


class _Countdown:
    """Told of calls and returns in one thread; at the last of them, the process dies."""

    def __init__(self, calls: int) -> None:
        self._left = calls

    def __call__(self, *told: object) -> None:
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


def read_events(log: Path) -> list[Event]:
    """What `watch` wrote down."""
    lines = [line.split("\t") for line in log.read_text().splitlines()] if log.is_file() else []
    return [Event(float(seconds), *rest) for seconds, *rest in lines]


def draw_moment(
    events: list[Event], seconds: float, draw: random.Random, where: str = ""
) -> Moment:
    """A moment of a process that was watched to its end.

    Args:
      events: what it did.
      seconds: how long it took, from when it was watched.
      draw: random numbers.
      where: a part of the paths of those that may be chosen; by default also any other moment.

    Returns:
      One of the events, or some calls after it, or a time between two.
    """
    among = [number for number, event in enumerate(events) if where in event.path]
    if where or draw.random() < 0.5:
        return Moment(draw.choice(among), calls=draw.choice((0, draw.randint(1, 12))))
    when = draw.uniform(events[0].seconds, seconds)
    last = max(number for number, event in enumerate(events) if event.seconds <= when)
    return Moment(last, max(when - events[last].seconds, 1e-3))


def _path(operation: str, arguments: tuple[Any, ...]) -> str:
    if operation == "open" and not (isinstance(arguments[2], int) and arguments[2] & _WRITES):
        return ""
    name = arguments[1] if operation == "os.rename" else arguments[0]
    if not isinstance(name, str | bytes | os.PathLike):
        return ""
    path = os.fsdecode(name)
    # What is removed with a whole tree is named below an open directory.
    directory = arguments[-1]
    if operation in ("os.remove", "os.rmdir", "os.mkdir") and directory > -1:
        path = os.path.join(os.readlink(f"/proc/self/fd/{directory}"), path)
    return os.path.abspath(path)
