"""The list of mutants keeps up with the library."""

from collections import Counter
from pathlib import Path

import pytest

from masam_jax.methods import get_method, method_names
from tests.mutants import MUTANTS
from tests.mutants.mutant import Mutant

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.file}: {mutant.name}")
def test_its_line_is_in_the_code_once(mutant: Mutant) -> None:
    code = (ROOT / "masam_jax" / mutant.file).read_text(encoding="utf-8")
    assert code.count(mutant.line) == 1
    compile(code.replace(mutant.line, mutant.mutation), mutant.file, "exec")
    assert mutant.line != mutant.mutation
    assert mutant.tests
    assert all((ROOT / tests).is_file() for tests in mutant.tests)


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
