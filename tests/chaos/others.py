"""What else may happen to a directory: two writers, a move, places that cannot be written."""

import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.content import content, differences
from tests.chaos.file_events import draw_moment
from tests.chaos.kills import RUN, stop_after
from tests.chaos.programs import Programs

_WORDS = ["train", "--method", "masam", *RUN, "--no-plots", "--output"]

Attack = Callable[[Programs, Path, random.Random], str]
"""``(programs, an empty folder, random numbers) -> what was lost, empty for nothing``."""


def two_writers(programs: Programs, folder: Path, draw: random.Random) -> str:
    """A second process is refused while the first one writes, whose run ends as it would have."""
    path, whole = folder / "run", folder / "whole"
    seconds = programs.timed([*_WORDS, str(whole)])
    place = folder / "others"
    place.mkdir()
    with Programs(place) as others:
        programs.start([*_WORDS, str(path)])
        limit = time.monotonic() + 60
        while not (path / "config.json").is_file() and time.monotonic() < limit:
            time.sleep(0.01)
        time.sleep(draw.uniform(0, seconds / 8))
        # Or it might be done before the others have begun.
        programs.signal(signal.SIGSTOP)
        more = ([], ["--resume"], ["--overwrite"])
        codes = [others.run([*_WORDS, str(path), *each]) for each in more]
        said = others.said
        programs.signal(signal.SIGCONT)
    first = programs.ended()
    if first != 0:
        return f"the first writer ended with {first}"
    if codes != [2, 2, 2]:
        return f"the others ended with {codes}: {said[-200:]}"
    return ", ".join(differences(content(path), content(whole)))


def two_at_once(programs: Programs, folder: Path, draw: random.Random) -> str:
    """Of two processes that start together in one directory one writes, and the other is refused.

    One may also come so late that the other's run is there already.
    """
    path, whole = folder / "run", folder / "whole"
    programs.timed([*_WORDS, str(whole)])
    place = folder / "other"
    place.mkdir()
    with Programs(place) as other:
        other.timed([*_WORDS, str(folder / "warm")])
        programs.start([*_WORDS, str(path)])
        other.start([*_WORDS, str(path)])
        codes = sorted([programs.ended(), other.ended()])
        said = programs.said + other.said
    if codes != [0, 2]:
        return f"they ended with {codes}: {said[-400:]}"
    if "in use by another process" not in said and "holds a run already" not in said:
        return f"the second one said {said[-400:]}"
    return ", ".join(differences(content(path), content(whole)))


def a_move(programs: Programs, folder: Path, draw: random.Random) -> str:
    """A run that was killed goes on in another place, to the same end."""
    whole, before, after = folder / "whole", folder / "before", folder / "deep" / "after"
    seconds = programs.timed([*_WORDS, str(whole)], below=whole)
    moment = draw_moment(programs.events, seconds, draw, where="checkpoints/4")
    programs.start([*_WORDS, str(before)], below=before, moment=moment)
    if programs.ended() >= 0:
        return "it was not killed"
    after.parent.mkdir()
    shutil.move(before, after)
    code = programs.run([*_WORDS, str(after), "--resume"])
    if code != 0:
        return f"code {code}: {programs.said[-200:]}"
    return ", ".join(differences(content(after), content(whole)))


def no_permission(programs: Programs, folder: Path, draw: random.Random) -> str:
    """Places that cannot be written, or not read, are named; once they can, the run goes on."""
    whole, path, closed = folder / "whole", folder / "run", folder / "closed"
    programs.timed([*_WORDS, str(whole)])
    stop_after(programs, _WORDS, path, step=6)
    closed.mkdir()
    arrays = sorted(path.glob("checkpoints/6/state/**/d/*"))
    attempts = (
        (closed, [*_WORDS, str(closed)], "cannot be written"),
        (closed, [*_WORDS, str(closed / "a" / "b")], "cannot be written"),
        (path, [*_WORDS, str(path), "--resume"], "cannot be written"),
        (path, [*_WORDS, str(path), "--overwrite"], "cannot be written"),
        (path / "config.json", [*_WORDS, str(path), "--resume"], "config.json"),
        (path / "checkpoints", [*_WORDS, str(path), "--resume"], "checkpoints"),
        (arrays[0], [*_WORDS, str(path), "--resume"], "checkpoints/6"),
    )
    for place, words, expected in attempts:
        before = content(path)
        mode = place.stat().st_mode
        place.chmod(0o555 if place in (closed, path) else 0)
        code = programs.run(words, plain_user=True)
        said = " ".join(programs.said.split())
        place.chmod(mode)
        if code not in (1, 2) or expected not in said or "Traceback" in said:
            return f"{place.name}: code {code}: {said[-400:]}"
        if changed := differences(content(path), before):
            return f"{place.name}: it was refused, and changed {changed}"
    code = programs.run([*_WORDS, str(path), "--resume"], plain_user=True)
    if code != 0:
        return f"code {code}: {programs.said[-400:]}"
    return ", ".join(differences(content(path), content(whole)))


OTHERS: tuple[Attack, ...] = (two_writers, two_at_once, a_move, no_permission)
