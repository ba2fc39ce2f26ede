"""Where text goes that nobody may be left to read: a closed pipe, a closed terminal."""

import contextlib
import errno
import os
from collections.abc import Iterator
from typing import Any, TextIO

_NOBODY_READS = (errno.EPIPE, errno.EIO)


class Outlet:
    """A stream of text that is silent once its reader has gone, instead of raising.

    ``masam datasets info NAME | head`` is no error, and a run outlives its terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        """Writes to ``stream``."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Writes text, if somebody reads it."""
        with patient(self._stream):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flushes, if somebody reads it."""
        with patient(self._stream):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def spell_what_it_can(stream: TextIO) -> None:
    """Where the stream's encoding lacks ± or ρ, a question mark stands for it from now on."""
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower()
    if not encoding.startswith("utf") and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")


@contextlib.contextmanager
def patient(stream: TextIO) -> Iterator[None]:
    """Where the reader of ``stream`` has gone, what is written from now on goes nowhere."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NOBODY_READS:
            raise
        nowhere = os.open(os.devnull, os.O_WRONLY)
        # Python itself writes what is left in the stream when it ends.
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
