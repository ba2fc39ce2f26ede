"""The list of mutants keeps up with the library."""

from collections import Counter
from pathlib import Path

from masam_jax.methods import get_method, method_names
from tests.mutants import MUTANTS

ROOT = Path(__file__).resolve().parent.parent


def test_their_lines_are_in_the_code_once() -> None:
    lost = []
    for mutant in MUTANTS:
        code = (ROOT / "masam_jax" / mutant.file).read_text(encoding="utf-8")
        if code.count(mutant.line) != 1:
            lost.append(f"{mutant.file}: {mutant.line!r} is there {code.count(mutant.line)} times")
        compile(code.replace(mutant.line, mutant.mutation), mutant.file, "exec")
    assert not lost, "\n".join(lost)


def test_they_have_tests() -> None:
    without = [mutant.name for mutant in MUTANTS if not mutant.tests]
    without += [name for m in MUTANTS for name in m.tests if not (ROOT / name).is_file()]
    assert not without


def test_no_two_are_the_same() -> None:
    twice = [
        each
        for each, count in Counter((m.file, m.line, m.mutation) for m in MUTANTS).items()
        if count > 1
    ]
    assert not twice


def test_every_method_of_the_zoo_has_one() -> None:
    modules = {get_method(name).options.__module__ for name in method_names()}
    files = {
        f"{module.removeprefix('masam_jax.').replace('.', '/')}.py"
        for module in modules
        if module.startswith("masam_jax.methods.")
    }
    assert not files - {mutant.file for mutant in MUTANTS}
