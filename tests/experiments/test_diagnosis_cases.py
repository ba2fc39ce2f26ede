"""The constructed cases: one draw of those that matter most, and what the command prints."""

import dataclasses

import jax
import pytest

from experiments import diagnosis_cases
from experiments.diagnosis_cases import CASES, main, run_draw, table
from masam_jax.training.storage.atomic_files import read_json


@pytest.mark.parametrize("name", ["balanced", "competition"])
def test_a_diagnosis_says_what_is_true(name):
    with jax.numpy_dtype_promotion("standard"):
        found, content = run_draw(CASES[name], draw=1, seeds=8)
    assert content["verdict"] == found.verdict
    assert CASES[name].is_right(found), found.verdict


def test_draws_that_are_there_are_not_run_again(tmp_path, monkeypatch, capsys):
    asked = []

    @dataclasses.dataclass
    class Found:
        verdict: str = "Said."

    def fake(case, draw, seeds):
        asked.append((case.truth, draw, seeds))
        return Found(), {"verdict": "Said."}

    monkeypatch.setattr(diagnosis_cases, "run_draw", fake)
    monkeypatch.setattr(diagnosis_cases.jax.config, "update", lambda name, value: None)
    case = dataclasses.replace(CASES["pad"], is_right=lambda found: len(asked) != 2)
    monkeypatch.setitem(CASES, "pad", case)
    words = ["--output", str(tmp_path), "--cases", "pad", "--seeds", "3"]
    words += ["--first-draw", "0", "--draws"]
    main([*words, "2"])
    main([*words, "3"])
    assert [draw for _, draw, _ in asked] == [0, 1, 2]
    assert read_json(tmp_path / "pad-1-of-3-seeds.json") == {"right": False, "verdict": "Said."}
    assert (
        capsys.readouterr().out.splitlines()[-1]
        == table({"pad": [True, False, True]}).split("\n")[-1]
    )
    assert "| 2 of 3 |" in table({"pad": [True, False, True]})
