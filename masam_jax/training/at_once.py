"""The end of this process from any thread, whatever the main thread does."""

import contextlib
import os
import sys
import threading
from typing import NoReturn

_SHOW_CURSOR = "\x1b[?25h"


def say(text: str, end: str = "\n") -> None:
    """Writes to standard error, past the locks of its stream."""
    with contextlib.suppress(OSError):  # The terminal may be gone.
        os.write(2, f"{text}{end}".encode())


def end_at_once(text: str, code: int) -> NoReturn:
    """Says a last text, and ends the process with an exit code."""
    # The main thread may hold the lock of a stream, or never come back.
    flushing = threading.Thread(target=sys.stdout.flush, daemon=True)
    flushing.start()
    flushing.join(0.5)
    if os.isatty(2):
        say(_SHOW_CURSOR, end="")
    say(text)
    os._exit(code)
