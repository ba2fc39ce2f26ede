"""One bit of one file of a run, turned over; and whether those who read it say so."""

import dataclasses
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.chaos.programs import Programs

_SMALL = (
    *("--dataset", "synthetic", "--train-size", "24", "--validation-size", "24"),
    *("--test-size", "24", "--batch-size", "12", "--width", "4", "--evaluate-every", "3"),
    *("--steps", "6", "--seeds", "1", "--no-plots"),
)


def flip(path: Path, draw: random.Random) -> str:
    """Turns one bit over; which."""
    content = bytearray(path.read_bytes())
    position = draw.randrange(8 * len(content))
    content[position // 8] ^= 1 << position % 8
    path.write_bytes(content)
    return f"bit {position} of {path.name}"


@dataclasses.dataclass(frozen=True)
class Corruption:
    """A way to damage a finished run of one method.

    Attributes:
      name: what is damaged.
      files: a pattern, below the run.
      damage: does it, and says what it did.
    """

    name: str
    files: str
    damage: Callable[[Path, random.Random], str] = flip


CORRUPTIONS = (
    Corruption("arrays of a checkpoint", "checkpoints/*/state/**/d/*"),
    Corruption("all else of a checkpoint", "checkpoints/*/**/*"),
    Corruption("config.json", "config.json"),
    Corruption("training.json", "training.json"),
    Corruption("splits.json", "splits.json"),
)


@dataclasses.dataclass
class Corrupted:
    """What came of it.

    Attributes:
      made: damages of files that are read.
      noticed: those that were refused, with an error of one line.
      harmless: those after which the predictions were the same.
      silent: all others.
    """

    made: int = 0
    noticed: int = 0
    harmless: int = 0
    silent: list[str] = dataclasses.field(default_factory=list)


def make_run(programs: Programs, folder: Path) -> tuple[Path, bytes]:
    """A finished run of one method, and its predictions."""
    shutil.rmtree(folder, ignore_errors=True)
    run = folder / "run"
    programs.timed(["train", "--method", "masam:rho=1", *_SMALL, "--output", str(run)])
    programs.timed(["predict", str(run), str(folder / "expected")])
    return run, (folder / "expected").read_bytes()


def corrupt(
    programs: Programs,
    corruption: Corruption,
    run: Path,
    expected: bytes,
    draw: random.Random,
    count: int,
) -> Corrupted:
    """Damages a copy of the run so many times, and asks it for predictions.

    Args:
      programs: loads the run.
      corruption: what is damaged.
      run: of `make_run`.
      expected: its predictions.
      draw: says where.
      count: how often.
    """
    found = Corrupted()
    copy, predicted = run.parent / "copy", run.parent / "predicted"
    for _ in range(count):
        shutil.rmtree(copy, ignore_errors=True)
        predicted.unlink(missing_ok=True)
        shutil.copytree(run, copy)
        last = max(int(entry.name) for entry in (copy / "checkpoints").iterdir())
        files = [
            path for path in copy.glob(corruption.files) if path.is_file() and path.stat().st_size
        ]
        files = [
            path for path in files if "checkpoints" not in path.parts or str(last) in path.parts
        ]
        what = corruption.damage(draw.choice(sorted(files)), draw)
        found.made += 1
        code = programs.run(["predict", str(copy), str(predicted)])
        if code == 2:
            found.noticed += 1
        elif code == 0 and predicted.read_bytes() == expected:
            found.harmless += 1
        else:
            found.silent.append(f"{corruption.name}: {what}, code {code}")
    return found


def predict(run: str, output: str) -> int:
    """What a child process does: predictions of a run's own test samples, in a file."""
    from masam_jax.predict import RunError, load_predictor

    try:
        prediction = load_predictor(run).of_dataset()
    except RunError as error:
        print(f"error: {error}")
        return 2
    Path(output).write_bytes(np.ascontiguousarray(prediction.by_seed).tobytes())
    return 0
