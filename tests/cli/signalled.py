"""A program that stands still where a test wants to send it a signal; see ``test_signal_watch.py``.

    python -m tests.cli.signalled WHERE COUNT masam's words...

``planning`` sleeps in Python; ``step`` is inside a C function, as in a compiler, which no signal
ends and which leaves the interpreter's lock to other threads. COUNT stretches of steps go before
it, and the checkpoint of step 3 if there are any.
"""

import hashlib
import sys
import threading
import time
from pathlib import Path

from masam_jax.cli import command_line
from masam_jax.cli import train as train_command
from masam_jax.training.seed_step import SeedStep


def _stand_still():
    threading.Timer(0.5, print, ["here"], {"flush": True}).start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)


def _main(where, count, *words):
    if where == "planning":

        def plan(*arguments):
            print("here", flush=True)
            time.sleep(600)

        train_command._plan = plan
    elif where == "step":
        call, taken = SeedStep.stretch, iter(range(10**9))

        def step(self, *arguments):
            if next(taken) == int(count):
                while int(count) and not (Path(words[-1]) / "checkpoints" / "3").is_dir():
                    time.sleep(0.05)  # The save goes on beside the steps.
                time.sleep(0.5)
                _stand_still()
            return call(self, *arguments)

        SeedStep.stretch = step
    else:
        call, taken = SeedStep.stretch, iter(range(10**9))

        def slowly(self, state, stretch):
            time.sleep(0.02)
            if next(taken) == int(count):
                print("here", flush=True)
            return call(self, state, stretch)

        SeedStep.stretch = slowly
    return command_line.main(words)


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
