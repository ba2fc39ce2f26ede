"""What else may happen to a directory: two writers, a move."""

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.content import content, differences
from tests.chaos.kills import _RUN
from tests.chaos.programs import Programs

_WORDS = ["train", "--method", "masam", *_RUN, "--no-plots", "--output"]

Attack = Callable[[Programs, Path, random.Random], str]
"""``(programs, an empty folder, random numbers) -> what was lost, empty for nothing``."""


def two_writers(programs: Programs, folder: Path, draw: random.Random) -> str:
    """A second process is refused while the first one writes, whose run ends as it would have."""
    path, whole = folder / "run", folder / "whole"
    seconds = programs.timed([*_WORDS, str(whole)])
    programs.start([*_WORDS, str(path)])
    with Programs(folder) as others:
        limit = time.monotonic() + 60
        while not (path / "config.json").is_file() and time.monotonic() < limit:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, seconds / 4))
        codes = [others.run([*_WORDS, str(path), *more]) for more in ([], ["--overwrite"])]
        said = others.said
    first = programs.ended()
    if first != 0:
        return f"the first writer ended with {first}"
    if codes != [2, 2]:
        return f"the others ended with {codes}: {said[-200:]}"
    return ", ".join(differences(content(path), content(whole)))


def a_move(programs: Programs, folder: Path, draw: random.Random) -> str:
    """A run that was killed goes on in another place, to the same end."""
    whole, before, after = folder / "whole", folder / "before", folder / "deep" / "after"
    seconds = programs.timed([*_WORDS, str(whole)])
    programs.start([*_WORDS, str(before)])
    time.sleep(draw.uniform(0.5, 0.95) * seconds)
    programs.kill()
    programs.ended()
    after.parent.mkdir()
    shutil.move(before, after)
    code = programs.run([*_WORDS, str(after), "--resume"])
    if code != 0:
        return f"code {code}: {programs.said[-200:]}"
    return ", ".join(differences(content(after), content(whole)))


OTHERS: tuple[Attack, ...] = (two_writers, a_move)
