"""Attacks runs and files, and counts; see the package's docstring."""

import argparse
import collections
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
    words.add_argument("--hostile", type=int, default=20, help="--times of tests.hostile_files")
    words.add_argument("--peers", type=int, default=0, help="attacks of each kind on two processes")
    words.add_argument("--seed", type=int, default=0, help="of the moments and the bits")
    words.add_argument("--only", default="", help="scenarios and files whose name holds this")
    words.add_argument("--part", default="1/1", help="such as 2/4: the second quarter of all")
    asked = words.parse_args()
    compile_quickly(devices=1)
    keep_programs()
    # Imported late: XLA's flags come first.
    from tests.chaos.corruptions import CORRUPTIONS, Victims, corrupt
    from tests.chaos.kills import SCENARIOS, attack
    from tests.chaos.others import OTHERS
    from tests.chaos.peers import attack_all
    from tests.chaos.programs import Programs
    from tests.hostile_files import FAMILIES
    from tests.hostile_files import attack as give

    bad: list[str] = []
    totals = dict.fromkeys(("survived", "tried", "noticed", "harmless", "made", "refused", "of"), 0)
    phases: collections.Counter[str] = collections.Counter()
    number, parts = map(int, asked.part.split("/"))

    def chosen(entries, name):
        """Those of this part: each has its own random numbers, whatever the parts."""
        named = [entry for entry in entries if asked.only in name(entry)]
        for entry in named[number - 1 :: parts]:
            yield entry, random.Random(f"{asked.seed} {name(entry)}"), len(named)

    with tempfile.TemporaryDirectory() as scratch, Programs(Path(scratch)) as programs:
        folder = Path(scratch)
        for scenario, draw, of in chosen(SCENARIOS, lambda x: x.name) if asked.kills else ():
            killed = attack(programs, scenario, folder / "kills", draw, -(-asked.kills // of))
            print(f"{scenario.name}: survived {killed.survived} of {killed.tried}", flush=True)
            totals["survived"] += killed.survived
            totals["tried"] += killed.tried
            phases += killed.phases
            bad += killed.losses
        victims = Victims(programs, folder / "flips")
        for corruption, draw, of in chosen(CORRUPTIONS, lambda x: x.name) if asked.flips else ():
            found = corrupt(programs, corruption, victims, draw, -(-asked.flips // of))
            print(
                f"{corruption.name}: noticed {found.noticed} of {found.made},"
                f" {found.harmless} harmless",
                flush=True,
            )
            for name in ("noticed", "harmless", "made"):
                totals[name] += getattr(found, name)
            bad += found.silent
        for other, draw, _ in chosen(OTHERS, lambda x: x.__name__):
            place = folder / other.__name__
            place.mkdir()
            lost = other(programs, place, draw)
            print(f"{other.__name__}: {lost or 'nothing lost'}", flush=True)
            bad += [f"{other.__name__}: {lost}"] if lost else []
        for family, _, _ in chosen(FAMILIES, str) if asked.hostile else ():
            place = folder / "hostile" / family
            refused, made, wrong = give(family, place, asked.seed, asked.hostile)
            print(f"{family}: refused {refused} of {made}", flush=True)
            totals["refused"], totals["of"] = totals["refused"] + refused, totals["of"] + made
            bad += wrong
        if asked.peers:
            bad += attack_all(asked.peers, folder, asked.only, random.Random(asked.seed))
    print("\n".join(f"  killed {count:3} x in {name}" for name, count in sorted(phases.items())))
    print(
        "kills survived / tried: {survived} / {tried}; damaged files noticed, or harmless / made:"
        " {noticed} + {harmless} / {made}; hostile files refused / made: {refused} / {of}".format(
            **totals
        )
    )
    print("\n".join(["", *bad]) if bad else "nothing was lost, and nothing went unnoticed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
