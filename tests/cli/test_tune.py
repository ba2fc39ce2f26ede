"""``masam tune`` from its words to its files; what was found, in other commands."""

import json
import sys

import pytest

from masam_jax.cli import command_line as cli
from tests.cli.small_commands import SMALL, end_of

TUNE = [
    *("tune", "--methods", "fusion_only", "late_fusion", "--trials", "2"),
    *("--dataset", "synthetic", "--train-size", "24", "--validation-size", "40"),
    *("--test-size", "40", "--batch-size", "12", "--width", "4", "--steps", "4"),
    *("--tune-seeds", "2", "--evaluate-every", "2"),
]


@pytest.fixture(scope="module")
def tuning(tmp_path_factory):
    """A finished tuning of two methods."""
    path = tmp_path_factory.mktemp("runs") / "tuning"
    assert cli.main([*TUNE, "--output", str(path)]) == 0
    return path


def test_finished_tuning_shows_its_table_again(tuning, capsys):
    before = (tuning / "best.json").read_text()
    assert cli.main([*TUNE, "--output", str(tuning), "--resume"]) == 0
    assert (tuning / "best.json").read_text() == before
    output = capsys.readouterr().out
    assert "2 methods, 2 trials each, 2 seeds" in output
    assert "late_fusion 1/2" not in output
    for heading in ("Default accuracy, %", "Best accuracy, %", "Trials", "Pruned"):
        assert heading in output
    best = json.loads(before)
    assert best["seeds"] == [100, 101]
    document = (tuning / "tuning.md").read_text()
    for row in best["tuned"]:
        assert f"| `{row['method']}` |" in document
        assert f"| `{row['best']}` | {row['trials']} | 0 |" in document
        assert row["best"].startswith(row["method"].partition(":")[0])


def test_what_a_tuning_found_can_be_compared(tuning, capsys):
    words = ["compare", "--methods", "sam", f"@{tuning}", *SMALL, "--baseline", "masam"]
    code, errors = end_of(capsys, *words)
    assert code == 2
    best = json.loads((tuning / "best.json").read_text())["methods"]
    assert f"'masam' is not among the methods: sam, {', '.join(best)}\n" in errors


def test_a_tuning_is_no_run(tuning, tmp_path, capsys):
    assert cli.main(["runs", str(tuning)]) == 0
    assert "no runs in" in capsys.readouterr().out
    code, errors = end_of(capsys, "evaluate", str(tuning))
    assert code == 2
    assert "is a tuning, which keeps no parameters" in errors


def test_tuning_is_kept(tuning, capsys):
    code, errors = end_of(capsys, *TUNE, "--output", str(tuning))
    assert code == 2
    assert "--resume goes on with it, --overwrite deletes it" in errors
    code, errors = end_of(capsys, *TUNE, "--output", str(tuning), "--resume", "--steps", "5")
    assert code == 2
    assert "optimization.steps: 4 -> 5" in errors


def test_tuning_without_optuna_says_what_to_install(tmp_path, capsys, monkeypatch):
    for module in [name for name in sys.modules if name.partition(".")[0] == "optuna"]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "optuna", None)
    for module in ("study", "tune"):
        monkeypatch.delitem(sys.modules, f"masam_jax.tuning.{module}", raising=False)
    code, errors = end_of(capsys, *TUNE, "--output", str(tmp_path / "tuning"))
    assert code == 2
    assert "masam tune needs optuna" in errors
    assert "pip install '.[tune]' in a clone" in errors
    assert not list(tmp_path.iterdir())
