"""Commands that are killed, resumed, and compared with one that was left alone."""

import collections
import dataclasses
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from masam_jax.config.errors import RunError
from masam_jax.methods import method_names
from masam_jax.training.storage.run_directory import read_config
from tests.chaos.content import content, differences
from tests.chaos.file_events import Event, Moment, draw_moment
from tests.chaos.programs import Programs
from tests.data.builders.sources import fixture_spec, make_any_source

SMALL = (
    *("--dataset", "synthetic", "--train-size", "24", "--validation-size", "24"),
    *("--test-size", "24", "--batch-size", "12", "--width", "4", "--evaluate-every", "3"),
)
_SHORT = ("--steps", "8", "--seeds", "1", "--log-every", "2")
RUN = (*SMALL, *_SHORT, "--checkpoint-every", "2")


@dataclasses.dataclass(frozen=True)
class Scenario:
    """A command that writes into a directory.

    Attributes:
      name: what is killed.
      words: the command, given the directory.
      where: a part of the names of files: kills meet what is done to these; by default whatever is
        done, and the time between.
      kind: what kills of it are counted under.
      is_run: whether the directory is a run's; else the same command goes on there.
      overwrites: whether the first command meets what a whole one wrote, which it overwrites.
    """

    name: str
    words: Callable[[Path], list[str]]
    where: str = ""
    kind: str = "train"
    is_run: bool = True
    overwrites: bool = False


def _training(name: str, *words: str, where: str = "", overwrites: bool = False) -> Scenario:
    return Scenario(
        name,
        lambda path: [*words, "--output", str(path)],
        where=where,
        kind="overwrite" if overwrites else words[0],
        overwrites=overwrites,
    )


def _preparation(name: str, overwrites: bool = False) -> Scenario:
    def words(path: Path) -> list[str]:
        source = path.parent / f"source of {name}"
        if not source.is_dir():
            make_any_source(name, source)
        places = ["--source", str(source), "--data-dir", str(path)]
        return ["datasets", "prepare", fixture_spec(name), *places]

    what = f"datasets prepare {name}" + " --overwrite" * overwrites
    return Scenario(what, words, kind="datasets prepare", is_run=False, overwrites=overwrites)


_COMPARISON = ("compare", "--methods", "late_fusion", "masam:rho=1,select=random", *RUN)

SCENARIOS = (
    *(
        _training(f"train {name}", "train", "--method", name, *RUN, "--no-plots")
        for name in method_names()
    ),
    _training(
        "steps of masam",
        *("train", "--method", "masam:rho=1", *SMALL, "--steps", "600", "--seeds", "1"),
        *("--log-every", "50", "--checkpoint-every", "50", "--no-plots"),
    ),
    _training(
        "the first checkpoint",
        *("train", *SMALL, *_SHORT, "--checkpoint-every", "8", "--no-plots"),
        where="checkpoints/",
    ),
    _training("config.json", "train", *RUN, "--no-plots", where="config.json"),
    _training("overwriting", "train", *RUN, "--no-plots", overwrites=True),
    _training("comparison and probes", *_COMPARISON),
    _training("results", *_COMPARISON, where="result"),
    _training("tables", *_COMPARISON, where="table."),
    _training("plots", *_COMPARISON, where="plots"),
    _training("report", *_COMPARISON, where="report"),
    _training(
        "tune",
        *("tune", "--methods", "late_fusion", "masam", "--trials", "2", *SMALL),
        *("--steps", "6", "--tune-seeds", "1"),
    ),
    *(_preparation(name) for name in ("ur_funny", "food101", "mimic_mortality")),
    _preparation("adni", overwrites=True),
)


@dataclasses.dataclass
class Killed:
    """What came of it.

    Attributes:
      tried: kills that met a living process.
      survived: those after which the command went on to the same end.
      phases: how many there were in each.
      losses: what was not so.
    """

    tried: int = 0
    survived: int = 0
    phases: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
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
    words = scenario.words(whole)
    if scenario.overwrites:
        programs.timed(words)
        words = [*words, "--overwrite"]
    seconds = programs.timed(words, below=whole)
    events = programs.events
    expected = content(whole)
    found = Killed()
    while found.tried < kills:
        path = folder / "killed"
        shutil.rmtree(path, ignore_errors=True)
        words = scenario.words(path)
        if scenario.overwrites:
            shutil.copytree(whole, path)
            words = [*words, "--overwrite"]
        phases = []
        for _ in range(draw.randint(1, 3)):
            moment = draw_moment(events, seconds, draw, scenario.where)
            programs.start(words, below=path, moment=moment)
            if programs.ended() < 0:
                phases.append(_counted(scenario, programs.events, moment))
            words = _going_on(scenario, path, draw)
        code = programs.run(words)
        changed = differences(content(path), expected) if code == 0 else []
        found.tried += len(phases)
        found.phases.update(phases)
        if code == 0 and not changed:
            found.survived += len(phases)
        else:
            said = programs.said.strip().splitlines()[-1:]
            what = f"code {code}, {said if code else changed[:5]}"
            found.losses.append(f"{scenario.name}, killed in {phases}, {words[-1]}: {what}")
    return found


def stop_after(programs: Programs, words: list[str], path: Path, step: int) -> None:
    """Kills a run that is started in ``path`` when the checkpoint of a step is just whole."""
    programs.start([*words, str(path)], path, Moment(renamed=f"checkpoints/{step}"))
    assert programs.ended() < 0, programs.said


def _going_on(scenario: Scenario, path: Path, draw: random.Random) -> list[str]:
    """The words of a command that goes on where one was killed.

    Where no run is left to go on with, a plain start, ``--resume`` and ``--overwrite`` all do.
    """
    words = scenario.words(path)
    if not scenario.is_run or not path.is_dir():
        return words
    try:
        read_config(path)
    except RunError:
        return [*words, *draw.choice(([], ["--resume"], ["--overwrite"]))]
    return [*words, "--resume"]


def _counted(scenario: Scenario, events: list[Event], moment: Moment) -> str:
    if not scenario.is_run:
        paths = [event.path for event in events]
        written = any("incomplete" in path for path in paths)
        encoded = bool(paths) and ".encoded" in paths[-1]
        what = "encoding" if encoded and events[-1].operation != "os.remove" else "writing"
        return f"{scenario.kind}: {what if written else 'listing'}"
    return f"{scenario.kind}: {phase(events, moment.delay + moment.calls > 0)}"


_PHASES = (
    (r"(^|/)\.?config\.json", "config.json"),
    (r"^\.lock|^$", "the directory"),
    (r"checkpoints/.*\.removed", "removing a checkpoint"),
    (r"checkpoints", "writing a checkpoint"),
    (r"metrics\.jsonl|tensorboard|^trial$", "compilation, first steps"),
    (r"results?\.json", "result.json, results.json"),
    (r"^\.?(table|tuning)\.", "tables"),
    (r"^plots", "plots"),
    (r"^\.?report", "report.html"),
    (r"^\.?best\.json|^study\.db", "study.db, best.json"),
)


def phase(events: list[Event], later: bool) -> str:
    """What a process was about to do when it was killed, or, ``later``, what it did after that."""
    if not events:
        return "before anything is written"
    last = events[-1]
    done = last.operation in ("os.rename", "os.rmdir")
    if later and done and re.search(r"checkpoints/\d+(\.removed)?$", last.path):
        return "steps, evaluation, probes"
    named = (name for pattern, name in _PHASES if re.search(pattern, last.path))
    return next(named, "environment, splits, statistics")
