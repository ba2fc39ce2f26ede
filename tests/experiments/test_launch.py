"""The launch recipes as they are written, each with two processes on this machine."""

import json
import subprocess
import sys

import pytest

from experiments.launch.local import RECIPES
from tests.quick_compilation import child_environment

_WORDS = (
    *("train", "--method", "masam:rho=1", "--dataset", "synthetic", "--train-size", "24"),
    *("--validation-size", "24", "--test-size", "24", "--batch-size", "12", "--width", "4"),
    *("--evaluate-every", "4", "--no-plots", "--seeds", "1", "--steps"),
)


def _launch(recipe, run, steps):
    return subprocess.run(
        [sys.executable, "-m", "experiments.launch.local", recipe, *_WORDS, str(steps)],
        env=child_environment(RUN=str(run)),
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_trains_with_two_processes(tmp_path, recipe):
    run = tmp_path / "a run"
    done = _launch(recipe, run, 4)
    assert done.returncode == 0, done.stderr
    assert "2 devices" in done.stdout
    assert json.loads((run / "result.json").read_text())["steps"] == 4


def test_slurm_goes_on_with_a_run_that_is_there(tmp_path):
    assert _launch("slurm", tmp_path / "run", 4).returncode == 0
    again = _launch("slurm", tmp_path / "run", 8)
    assert again.returncode == 0, again.stderr
    assert "going on with the run of 4 steps, to 8" in again.stdout
