"""Two processes of one run, of which one is killed, stopped or told to end within a step."""

import dataclasses
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from masam_jax.training.peer_watch import LOST
from tests.chaos.content import content, differences
from tests.quick_compilation import child_environment

# What is done to a process, and how both end then; None for the one that is killed or stopped.
ATTACKS = {
    "kill": (signal.SIGKILL, LOST),
    "stop": (signal.SIGSTOP, LOST),
    "SIGTERM": (signal.SIGTERM, 128 + signal.SIGTERM),
    "Ctrl-C": (signal.SIGINT, 128 + signal.SIGINT),
}
_WORDS = (
    *("train", "--method", "masam:rho=1", "--dataset", "synthetic", "--train-size", "24"),
    *("--validation-size", "24", "--test-size", "24", "--batch-size", "12", "--width", "4"),
    *("--evaluate-every", "40", "--log-every", "5", "--checkpoint-every", "20", "--no-plots"),
    *("--seeds", "1", "--peer-timeout"),
)


@dataclasses.dataclass
class Met:
    """What came of an attack.

    Attributes:
      seconds: from the signal until the others had ended.
      losses: what was not as it must be.
    """

    seconds: float
    losses: list[str]


class Pair:
    """Two processes that train in one directory."""

    def __init__(self, path: Path, steps: int, limit: int, resume: bool = False) -> None:
        """Starts them; their words go into files beside the directory."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self._said = [path.with_name(f"{path.name} said {index}") for index in (0, 1)]
        self.processes = []
        for index, said in enumerate(self._said):
            words = [*_WORDS, str(limit), "--steps", str(steps), "--output", str(path)]
            words += ["--coordinator-address", address, "--num-processes", "2"]
            words += ["--process-id", str(index), *["--resume"] * resume]
            with said.open("w") as output:
                self.processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "masam_jax", *words],
                        env=child_environment(COLUMNS="120"),
                        stdout=output,
                        stderr=output,
                    )
                )

    def said(self, index: int) -> str:
        """What a process has said."""
        return self._said[index].read_text(errors="replace")

    def ended(self, index: int, seconds: float) -> int | None:
        """The exit code of a process; None for one that has not ended by then."""
        try:
            return self.processes[index].wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        """Ends what has not ended."""
        for process in self.processes:
            process.kill()
            process.wait()


def whole_run(path: Path, steps: int) -> dict:
    """The content of a run of two processes that nobody attacked."""
    pair = Pair(path, steps, limit=60)
    try:
        codes = [pair.ended(index, 300) for index in (0, 1)]
        assert codes == [0, 0], (codes, pair.said(0), pair.said(1))
    finally:
        pair.close()
    return content(path)


def attack_peer(
    kind: str,
    victim: int,
    folder: Path,
    draw: random.Random,
    expected: dict,
    steps: int,
    limit: int,
) -> Met:
    """Attacks one of two processes while they train, and goes on with the run.

    Args:
      kind: of `ATTACKS`.
      victim: which process.
      folder: for what they write.
      draw: says when.
      expected: see `whole_run`.
      steps: of the run.
      limit: see ``--peer-timeout``.
    """
    path = folder / "attacked"
    shutil.rmtree(path, ignore_errors=True)
    number, code = ATTACKS[kind]
    pair, losses = Pair(path, steps, limit), []
    try:
        log = path / "metrics.jsonl"
        while not (log.exists() and log.read_bytes().count(b"\n") > 2):
            assert pair.processes[0].poll() is None, pair.said(0)
            time.sleep(0.02)
        time.sleep(draw.uniform(0, 0.5))
        os.kill(pair.processes[victim].pid, number)
        begin = time.monotonic()
        found = pair.ended(1 - victim, 60)
        seconds = time.monotonic() - begin
        both = [1 - victim] if code == LOST else [0, 1]
        for index in both:
            found, said = pair.ended(index, 60), pair.said(index)
            told = f"process {victim} " in said if code == LOST else "saved at step" in said
            errors = said[said.find("process ") if code == LOST else said.find("interrupted") :]
            if found != code or not told or "Resume with\n" not in errors or "Traceback" in said:
                losses.append(f"{kind} of {victim}: process {index} ended with {found}: {said}")
    finally:
        pair.close()
    again = Pair(path, steps, limit=60, resume=True)
    try:
        codes = [again.ended(index, 300) for index in (0, 1)]
        if codes != [0, 0]:
            losses.append(f"{kind} of {victim}: resumed: {codes} {again.said(0)} {again.said(1)}")
        elif changed := differences(content(path), expected):
            losses.append(f"{kind} of {victim}: resumed otherwise: {changed[:5]}")
    finally:
        again.close()
    return Met(seconds, losses)


def attack_all(times: int, folder: Path, only: str, draw: random.Random) -> list[str]:
    """Attacks both processes in turn, and prints what came of each attack: what was lost.

    Args:
      times: attacks of each kind.
      folder: for what they write.
      only: a part of the names of the kinds that are meant.
      draw: says when.
    """
    steps, losses = 300, []
    expected = whole_run(folder / "pair", steps)
    for kind in (kind for kind in ATTACKS if only in kind):
        met = []
        for index in range(times):
            victim = index % 2
            met.append(attack_peer(kind, victim, folder, draw, expected, steps, limit=30))
            found = "nothing lost" if not met[-1].losses else "; ".join(met[-1].losses)
            print(f"{kind} of process {victim}: {met[-1].seconds:.1f} s, {found}", flush=True)
        lost = [loss for each in met for loss in each.losses]
        slowest = max(each.seconds for each in met)
        print(
            f"{kind} of a peer: {times - len(lost)} of {times}, at most {slowest:.0f} s", flush=True
        )
        losses += lost
    return losses
