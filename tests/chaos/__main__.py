"""Attacks runs and files, and counts; see the package's docstring."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.compilation_cache import keep_programs
from tests.quick_compilation import compile_quickly


def main() -> int:
    """The exit code: 1 where anything was lost, or went unnoticed."""
    words = argparse.ArgumentParser(prog="python -m tests.chaos")
    words.add_argument("--kills", type=int, default=40, help="in all scenarios together")
    words.add_argument("--flips", type=int, default=50, help="in all kinds of files together")
    words.add_argument("--seed", type=int, default=0, help="of the moments and the bits")
    words.add_argument("--only", default="", help="scenarios and files whose name holds this")
    asked = words.parse_args()
    compile_quickly(devices=1)
    keep_programs()
    # Imported late: XLA's flags come first.
    from tests.chaos.corruptions import CORRUPTIONS, corrupt, make_run
    from tests.chaos.kills import SCENARIOS, attack
    from tests.chaos.others import OTHERS
    from tests.chaos.programs import Programs

    draw, bad = random.Random(asked.seed), []
    totals = dict.fromkeys(("survived", "tried", "noticed", "harmless", "made"), 0)
    with tempfile.TemporaryDirectory() as scratch, Programs(Path(scratch)) as programs:
        folder = Path(scratch)
        scenarios = [each for each in SCENARIOS if asked.only in each.name]
        for scenario in scenarios:
            each = -(-asked.kills // len(scenarios))
            killed = attack(programs, scenario, folder / "kills", draw, each)
            print(f"{scenario.name}: survived {killed.survived} of {killed.tried}", flush=True)
            totals["survived"] += killed.survived
            totals["tried"] += killed.tried
            bad += killed.losses
        corruptions = [each for each in CORRUPTIONS if asked.only in each.name]
        if corruptions and asked.flips:
            run, expected = make_run(programs, folder / "flips")
        for corruption in corruptions if asked.flips else []:
            each = -(-asked.flips // len(corruptions))
            found = corrupt(programs, corruption, run, expected, draw, each)
            print(
                f"{corruption.name}: noticed {found.noticed} of {found.made},"
                f" {found.harmless} harmless",
                flush=True,
            )
            for name in ("noticed", "harmless", "made"):
                totals[name] += getattr(found, name)
            bad += found.silent
        for other in OTHERS:
            if asked.only in other.__name__:
                place = folder / other.__name__
                place.mkdir()
                lost = other(programs, place, draw)
                print(f"{other.__name__}: {lost or 'nothing lost'}", flush=True)
                bad += [f"{other.__name__}: {lost}"] if lost else []
    print(
        "kills survived / tried: {survived} / {tried}; damaged files noticed, or harmless / made:"
        " {noticed} + {harmless} / {made}".format(**totals)
    )
    print("\n".join(["", *bad]) if bad else "nothing was lost, and nothing went unnoticed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
