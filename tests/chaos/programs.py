"""Commands in processes of their own, which start in no time and can be killed.

A process that has imported everything forks one child for each command: ``python -m
tests.chaos.programs``, which reads words as JSON from its input and answers with the child's number
and, once it has ended, its exit code.
"""

import io
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.quick_compilation import child_environment


class Programs:
    """Runs commands, one after the other."""

    def __init__(self, folder: Path) -> None:
        """Starts the process that forks; what commands print goes into ``folder``."""
        self._output = folder / "output.txt"
        self._forking = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.programs", str(self._output)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=child_environment(COLUMNS="120"),
        )
        self._number = 0

    def start(self, words: Sequence[str]) -> None:
        """Starts a command."""
        print(json.dumps(list(words)), file=self._forking.stdin, flush=True)
        self._number = int(self._forking.stdout.readline())

    def kill(self) -> None:
        """Sends it SIGKILL; it may have ended by itself."""
        # The process that forks reaps its child only when it is asked for the code.
        os.kill(self._number, signal.SIGKILL)

    def ended(self) -> int:
        """Waits for its end: the exit code, negative for a signal."""
        print("", file=self._forking.stdin, flush=True)
        return int(self._forking.stdout.readline())

    def run(self, words: Sequence[str]) -> int:
        """A whole command: its exit code."""
        self.start(words)
        return self.ended()

    def timed(self, words: Sequence[str]) -> float:
        """Seconds that a command takes, which must succeed."""
        start = time.perf_counter()
        code = self.run(words)
        assert code == 0, f"{code}: {self.said}"
        return time.perf_counter() - start

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
    # All that a command needs, but for devices: those do not outlive a fork.
    import masam_jax.cli.command_line
    import masam_jax.cli.evaluate
    import masam_jax.cli.train
    import masam_jax.cli.tune
    import masam_jax.predict
    import masam_jax.tuning.tune  # noqa: F401

    for line in sys.stdin:
        number = os.fork()
        if number == 0:
            os._exit(_command(json.loads(line), output))
        print(number, flush=True)
        sys.stdin.readline()
        _, status = os.waitpid(number, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _command(words: list[str], output: Path) -> int:
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(os.fdopen(fd, "wb"), line_buffering=True) for fd in (1, 2)
    )
    try:
        if words[0] == "predict":
            from tests.chaos.corruptions import predict

            return predict(*words[1:])
        from masam_jax.cli.command_line import main

        return main(words)
    except SystemExit as error:
        return int(error.code or 0)
    except BaseException:
        traceback.print_exc()
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
