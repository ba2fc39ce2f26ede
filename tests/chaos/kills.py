"""Commands that are killed at random moments, resumed, and compared with one that was not."""

import dataclasses
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from masam_jax.methods import method_names
from tests.chaos.content import content, differences
from tests.chaos.programs import Programs
from tests.data.builders.sources import make_any_source

_SMALL = (
    *("--dataset", "synthetic", "--train-size", "24", "--validation-size", "24"),
    *("--test-size", "24", "--batch-size", "12", "--width", "4", "--evaluate-every", "3"),
)
_RUN = (*_SMALL, "--steps", "12", "--seeds", "1", "--log-every", "2", "--checkpoint-every", "2")


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A command that writes into a directory.

    Attributes:
      name: what is killed.
      words: the command, given the directory.
      again: the words of the one that goes on there.
    """

    name: str
    words: Callable[[Path], list[str]]
    again: Callable[[list[str]], list[str]] = lambda words: [*words, "--resume"]


def _training(name: str, *words: str) -> Scenario:
    return Scenario(name, lambda path: [*words, "--output", str(path)])


def _preparation(path: Path) -> list[str]:
    source = path.parent / "ur_funny source"
    if not source.is_dir():
        make_any_source("ur_funny", source)
    return ["datasets", "prepare", "ur_funny", "--source", str(source), "--data-dir", str(path)]


SCENARIOS = (
    *(
        _training(f"train {name}", "train", "--method", name, *_RUN, "--no-plots")
        for name in method_names()
    ),
    _training(
        "report and probes",
        *("compare", "--methods", "late_fusion", "masam:rho=1,select=random", *_RUN),
    ),
    _training("first checkpoint", "train", *_RUN, "--checkpoint-every", "1", "--no-plots"),
    _training(
        "tune",
        *("tune", "--methods", "late_fusion", "masam", "--trials", "2", *_SMALL),
        *("--steps", "6", "--tune-seeds", "1"),
    ),
    Scenario("datasets prepare", _preparation, again=lambda words: words),
)


@dataclasses.dataclass
class Killed:
    """What came of it.

    Attributes:
      tried: kills that met a living process.
      survived: those after which the command went on to the same end.
      losses: what was not so.
    """

    tried: int = 0
    survived: int = 0
    losses: list[str] = dataclasses.field(default_factory=list)


def attack(
    programs: Programs, scenario: Scenario, folder: Path, draw: random.Random, kills: int
) -> Killed:
    """Kills a command so many times, in chains of up to three before it may end.

    Args:
      programs: runs it.
      scenario: the command.
      folder: for what it writes; emptied.
      draw: says when.
      kills: how often.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    whole = folder / "whole"
    seconds = programs.timed(scenario.words(whole))
    expected = content(whole)
    found = Killed()
    while found.tried < kills:
        path = folder / "killed"
        shutil.rmtree(path, ignore_errors=True)
        words = scenario.words(path)
        chain = 0
        for _ in range(draw.randint(1, 3)):
            # Of a process that dies early nothing is there to go on with.
            programs.start(scenario.again(words) if _begun(path) else words)
            time.sleep(draw.uniform(0, 1.05 * seconds))
            programs.kill()
            chain += programs.ended() < 0
        found.tried += chain
        code = programs.run(scenario.again(words) if _begun(path) else words)
        changed = differences(content(path), expected) if code == 0 else []
        if code == 0 and not changed:
            found.survived += chain
        else:
            said = programs.said.strip().splitlines()[-1:]
            found.losses.append(f"{scenario.name}: code {code}, {said if code else changed[:5]}")
    return found


def _begun(path: Path) -> bool:
    """Whether a killed process left anything to go on with."""
    return path.is_dir()
