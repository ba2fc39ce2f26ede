"""Commands in processes of their own, which start in no time and can be killed.

A process that has imported everything forks one child for each command: ``python -m
tests.chaos.programs``, which reads a line of JSON from its input and answers with the child's
number and, once it has ended, its exit code. Commands are those of ``masam``, and a few that
``_OWN`` names.
"""

import ctypes
import dataclasses
import io
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# All that a command needs is imported before the fork, but for devices: those do not outlive it.
import masam_jax.cli.evaluate
import masam_jax.cli.train
import masam_jax.cli.tune
import masam_jax.tuning.tune  # noqa: F401
from masam_jax.cli.command_line import main
from masam_jax.config.errors import RunError
from masam_jax.predict import load_predictor
from masam_jax.tuning.best_file import best_file, read_best
from tests.chaos.file_events import Event, Moment, read_events, watch
from tests.quick_compilation import child_environment


class Programs:
    """Runs commands, one after the other."""

    def __init__(self, folder: Path) -> None:
        """Starts the process that forks; what commands print goes into ``folder``."""
        self._output, self._log = folder / "output.txt", folder / "events.txt"
        self._forking = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.programs", str(self._output)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=child_environment(COLUMNS="120"),
        )
        self._number = 0

    def start(
        self,
        words: Sequence[str],
        below: Path | None = None,
        moment: Moment | None = None,
        plain_user: bool = False,
    ) -> None:
        """Starts a command.

        Args:
          words: the command.
          below: what it does to files here is written down.
          moment: when it is killed; None for never.
          plain_user: whether modes of files hold for it, should this process be root's.
        """
        self._log.unlink(missing_ok=True)
        dies = None if moment is None else dataclasses.astuple(moment)
        told = {"words": list(words), "below": below and str(below), "dies": dies}
        told |= {"plain_user": plain_user}
        print(json.dumps(told), file=self._forking.stdin, flush=True)
        self._number = int(self._forking.stdout.readline())

    def signal(self, number: int) -> None:
        """Sends it a signal; it may have ended by itself."""
        # The process that forks reaps its child only when it is asked for the code.
        os.kill(self._number, number)

    def ended(self) -> int:
        """Waits for its end: the exit code, negative for a signal."""
        print("", file=self._forking.stdin, flush=True)
        return int(self._forking.stdout.readline())

    def run(self, words: Sequence[str], plain_user: bool = False) -> int:
        """A whole command: its exit code."""
        self.start(words, plain_user=plain_user)
        return self.ended()

    def timed(self, words: Sequence[str], below: Path | None = None) -> float:
        """Seconds that a command takes, which must succeed."""
        start = time.perf_counter()
        self.start(words, below)
        code = self.ended()
        assert code == 0, f"{code}: {self.said}"
        return time.perf_counter() - start

    @property
    def events(self) -> list[Event]:
        """What the last command did below its directory."""
        return read_events(self._log)

    @property
    def said(self) -> str:
        """What the last command printed."""
        return self._output.read_text(errors="replace")

    def close(self) -> None:
        """Ends the process that forks."""
        self._forking.stdin.close()
        self._forking.wait()
        self._forking.stdout.close()

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _serve(output: Path) -> None:
    for line in sys.stdin:
        number = os.fork()
        if number == 0:
            os._exit(_command(json.loads(line), output))
        print(number, flush=True)
        sys.stdin.readline()
        _, status = os.waitpid(number, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _command(told: dict[str, Any], output: Path) -> int:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(os.fdopen(fd, "wb"), line_buffering=True) for fd in (1, 2)
    )
    if told["plain_user"] and os.geteuid() == 0:
        _give_up_override()
    if told["below"] is not None:
        moment = None if told["dies"] is None else Moment(*told["dies"])
        watch(Path(told["below"]), output.with_name("events.txt"), moment)
    try:
        own = _OWN.get(told["words"][0])
        return main(told["words"]) if own is None else own(*told["words"][1:])
    except SystemExit as error:
        return int(error.code or 0)
    except BaseException:
        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _give_up_override() -> None:
    """Root reads and writes files whatever their modes; this process does no more (Linux)."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    # Effective, permitted and inheritable capabilities; CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH.
    sets = (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    for place in range(3):
        sets[place] &= ~0b110
    if libc.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _predict(run: str, output: str) -> int:
    """Predictions of a run's own test samples, in a file."""
    try:
        prediction = load_predictor(run).of_dataset()
    except RunError as error:
        print(f"error: {error}")
        return 2
    Path(output).write_bytes(np.ascontiguousarray(prediction.by_seed).tobytes())
    return 0


def _show_best(path: str, output: str) -> int:
    """The methods of ``best.json``, in a file."""
    try:
        methods = read_best(best_file(path))
    except RunError as error:
        print(f"error: {error}")
        return 2
    Path(output).write_text("\n".join(methods))
    return 0


_OWN: dict[str, Callable[..., int]] = {"predict": _predict, "show-best": _show_best}


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
