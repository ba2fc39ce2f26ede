"""Breaks the library in one place at a time, and names the test that notices.

    .venv/bin/python -m tests.mutants              # all of them, in a copy of the tree
    .venv/bin/python -m tests.mutants 3 7          # these alone
    .venv/bin/python -m tests.mutants core pmr     # those of a folder, or of a file

Exits with 1 where a mutant survives, or where its line is no longer in the code.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tests.mutants import MUTANTS
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).resolve().parents[2]


def main(words: Sequence[str]) -> int:
    """Runs the mutants that these words choose, all when there are none; the exit code."""
    chosen = _choose(words)
    survivors = 0
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        for folder in ("masam_jax", "tests"):
            shutil.copytree(ROOT / folder, copy / folder)
        shutil.copy(ROOT / "pyproject.toml", copy)
        for number, mutant in chosen.items():
            caught = _first_failure(copy, mutant)
            survivors += caught is None
            print(f"{number:3d}. {mutant.name}: {caught or 'SURVIVED'}", flush=True)
    return 1 if survivors else 0


def _choose(words: Sequence[str]) -> dict[int, Mutant]:
    """By number, and by the names of folders and files."""
    every = dict(enumerate(MUTANTS, 1))
    chosen = {
        word: [
            number
            for number, mutant in every.items()
            if word in (str(number), *PurePosixPath(mutant.file).with_suffix("").parts)
        ]
        for word in words
    }
    if nothing := [word for word, numbers in chosen.items() if not numbers]:
        raise SystemExit(f"there are no mutants of {nothing}")
    numbers = sorted({number for each in chosen.values() for number in each})
    return {number: every[number] for number in numbers} if words else every


def _first_failure(copy: Path, mutant: Mutant) -> str | None:
    target = copy / "masam_jax" / mutant.file
    original = target.read_text()
    if original.count(mutant.line) != 1:
        raise ValueError(f"{mutant.file} has {mutant.line!r} {original.count(mutant.line)} times")
    target.write_text(original.replace(mutant.line, mutant.mutation))
    try:
        for tests in mutant.tests:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", tests],
                cwd=copy,
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            )
            failed = re.search(r"^FAILED (\S+)", done.stdout, re.MULTILINE)
            if failed:
                return failed.group(1)
            if done.returncode:
                raise RuntimeError(f"{tests} could not run:\n{done.stdout}{done.stderr}")
    finally:
        target.write_text(original)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
