"""One bit of one file of a run, turned over; and whether those who read it say so."""

import dataclasses
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.chaos.content import content, differences
from tests.chaos.kills import RUN, SMALL, stop_after
from tests.chaos.programs import Programs


def flip(path: Path, draw: random.Random) -> str:
    """Turns one bit over; which."""
    altered = bytearray(path.read_bytes())
    position = draw.randrange(8 * len(altered))
    altered[position // 8] ^= 1 << position % 8
    path.write_bytes(altered)
    return f"bit {position} of {path.name}"


def spoil(path: Path, draw: random.Random) -> str:
    """Makes one byte, but for the ends of lines, one that no text has; which."""
    altered = bytearray(path.read_bytes())
    position = draw.choice([n for n, byte in enumerate(altered) if byte != ord("\n")])
    altered[position] = 0xFF
    path.write_bytes(altered)
    return f"byte {position} of {path.name}"


Read = Callable[[Programs, Path, Path], int]
"""``(programs, a run, where to write) -> exit code`` of who reads it; 2 is a refusal."""


def _predict(programs: Programs, run: Path, output: Path) -> int:
    return programs.run(["predict", str(run), str(output)])


def _evaluate(programs: Programs, run: Path, output: Path) -> int:
    return programs.run(["evaluate", str(run), "--predictions", f"{output}.csv"])


def _show_best(programs: Programs, run: Path, output: Path) -> int:
    return programs.run(["show-best", str(run), str(output)])


def _resume(programs: Programs, run: Path, output: Path) -> int:
    return programs.run([*TRAIN, str(run), "--resume"])


def _fall_back(programs: Programs, run: Path, output: Path) -> int:
    """Refused without ``--fall-back``, and to the same end with it."""
    code = _resume(programs, run, output)
    return code if code != 2 else programs.run([*TRAIN, str(run), "--resume", "--fall-back"])


TRAIN = ["train", "--method", "masam:rho=1", *RUN, "--no-plots", "--output"]
_TUNE = ["tune", "--methods", "late_fusion", "--trials", "1", *SMALL, "--steps", "6"]
_TUNE += ["--tune-seeds", "1", "--output"]


@dataclasses.dataclass(frozen=True)
class Corruption:
    """A way to damage a directory.

    Attributes:
      name: what is damaged, and who reads it.
      files: a pattern, below the directory; of checkpoints, those of the last one.
      read: reads it.
      of: the directory: ``"run"``, ``"stopped"`` (the same run, killed before its end) or
        ``"tuning"``.
      damage: does it, and says what it did.
      is_repaired: whether the reader is to come to the same end in spite of the damage.
    """

    name: str
    files: str
    read: Read
    of: str = "run"
    damage: Callable[[Path, random.Random], str] = flip
    is_repaired: bool = False


CORRUPTIONS = (
    Corruption("arrays of a checkpoint, predict", "checkpoints/*/state/**/d/*", _predict),
    Corruption("all of a checkpoint, predict", "checkpoints/*/**/*", _predict),
    Corruption("arrays of a checkpoint, evaluate", "checkpoints/*/state/**/d/*", _evaluate),
    Corruption("all of a checkpoint, --resume", "checkpoints/*/**/*", _resume, of="stopped"),
    Corruption(
        "all of a checkpoint, --fall-back",
        "checkpoints/*/**/*",
        _fall_back,
        of="stopped",
        is_repaired=True,
    ),
    Corruption("config.json, predict", "config.json", _predict),
    Corruption("config.json, --resume", "config.json", _resume, of="stopped"),
    Corruption("training.json, predict", "training.json", _predict),
    Corruption("splits.json, evaluate", "splits.json", _evaluate),
    Corruption("splits.json, predict", "splits.json", _predict),
    Corruption("statistics.npz, predict", "statistics.npz", _predict),
    Corruption("statistics.npz, evaluate", "statistics.npz", _evaluate),
    Corruption("data.json, predict", "data.json", _predict),
    Corruption("fitted.json, evaluate", "fitted.json", _evaluate),
    Corruption("result.json, --resume", "result.json", _resume),
    Corruption("best.json, compare @", "best.json", _show_best, of="tuning"),
    Corruption(
        "a line of metrics.jsonl, --resume", "metrics.jsonl", _resume, of="stopped", damage=spoil
    ),
)


@dataclasses.dataclass
class Corrupted:
    """What came of it.

    Attributes:
      made: damages of files that are read.
      noticed: those that were refused or reported, in words that name what is damaged.
      harmless: those after which everything was the same, unsaid.
      silent: all others.
    """

    made: int = 0
    noticed: int = 0
    harmless: int = 0
    silent: list[str] = dataclasses.field(default_factory=list)


class Victims:
    """Directories to damage, each made once, and what its readers make of it unharmed."""

    def __init__(self, programs: Programs, folder: Path) -> None:
        self._programs, self.folder = programs, folder
        self._made: dict[tuple[str, Read], dict[str, object]] = {}

    def directory(self, name: str) -> Path:
        """One of those that `Corruption.of` names."""
        path = self.folder / name
        if path.is_dir():
            return path
        if name == "tuning":
            self._programs.timed([*_TUNE, str(path)])
            return path
        if name == "run":
            self._programs.timed([*TRAIN, str(path)])
        else:
            stop_after(self._programs, TRAIN, path, step=6)
            # The one before is not removed yet.
            assert {"4", "6"} <= {entry.name for entry in (path / "checkpoints").iterdir()}
        return path

    def unharmed(self, corruption: Corruption) -> dict[str, object]:
        """What the reader writes of a directory without any damage."""
        key = (corruption.of, corruption.read)
        if key not in self._made:
            copy, output = self.copy(corruption)
            code = corruption.read(self._programs, copy, output)
            assert code == 0, f"{corruption.name}: {code}: {self._programs.said}"
            self._made[key] = content(self.folder / "copy")
        return self._made[key]

    def copy(self, corruption: Corruption) -> tuple[Path, Path]:
        """A copy to damage, and where its reader may write, both below ``copy``."""
        place = self.folder / "copy"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.directory(corruption.of), place / "run")
        return place / "run", place / "output"


def corrupt(
    programs: Programs, corruption: Corruption, victims: Victims, draw: random.Random, count: int
) -> Corrupted:
    """Damages a copy of a directory so many times, and gives it to its reader.

    Args:
      programs: reads it.
      corruption: what is damaged.
      victims: the directories.
      draw: says where.
      count: how often.
    """
    found = Corrupted()
    expected = victims.unharmed(corruption)
    for _ in range(count):
        run, output = victims.copy(corruption)
        files = [x for x in run.glob(corruption.files) if x.is_file() and x.stat().st_size]
        if corruption.files.startswith("checkpoints"):
            last = max((x.relative_to(run).parts[1] for x in files if x), key=_number)
            files = [x for x in files if x.relative_to(run).parts[1] == last]
        file = draw.choice(sorted(files))
        what = corruption.damage(file, draw)
        found.made += 1
        code = corruption.read(programs, run, output)
        said = programs.said
        wrong = []
        if code == 0:
            wrong = differences(content(victims.folder / "copy"), expected)
        if not corruption.is_repaired:
            # That is damaged still; who read it is asked.
            wrong = [name for name in wrong if name != f"run/{file.relative_to(run)}"]
        if code == 2 and not corruption.is_repaired and _names(said, file):
            found.noticed += 1
        elif code == 0 and corruption.damage is spoil and "metrics.damaged" in said:
            lost = _lost_lines(run, expected)
            found.noticed += not lost
            found.silent += [f"{corruption.name}: {what}, lost {lost}"] if lost else []
        elif code == 0 and not wrong:
            found.noticed += corruption.is_repaired
            found.harmless += not corruption.is_repaired
        else:
            found.silent.append(
                f"{corruption.name}: {what}, code {code}, {wrong[:5] or said.strip()[-300:]}"
            )
    return found


def _names(said: str, file: Path) -> bool:
    """Whether an error, without a traceback, names the file."""
    words = " ".join(said.split())
    # A configuration that may be right is compared with what was asked for.
    named = file.name in words or (file.name == "config.json" and "of another conf" in words)
    return named and "Traceback" not in said


def _number(name: str) -> int:
    return int(name) if name.isdecimal() else -1


def _lost_lines(run: Path, expected: dict[str, object]) -> list[bytes]:
    """Lines of the log that are neither in it nor beside it, but for the one that was damaged."""
    whole = expected["run/metrics.jsonl"]
    assert isinstance(whole, bytes)
    kept = set((run / "metrics.jsonl").read_bytes().splitlines())
    lost = [line for line in whole.splitlines() if line not in kept]
    return lost[1:]
