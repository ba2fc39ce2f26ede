"""Signals: each has an answer, wherever it comes, and the answer is true."""

import signal
import subprocess
import sys

import pytest

from tests.quick_compilation import child_environment

WORDS = [
    *("train", "--method", "late_fusion", "--dataset", "synthetic", "--train-size", "24"),
    *("--validation-size", "40", "--test-size", "40", "--batch-size", "12", "--width", "4"),
    *("--steps", "100000", "--seeds", "1", "--checkpoint-every", "3", "--no-plots"),
]
HERE = "here\n"


class _Program:
    """A run that stands still at a place, and says so."""

    def __init__(self, path, where, count, start=()):
        self.path = path
        words = [sys.executable, "-m", "tests.cli.signalled", where, str(count), *WORDS]
        # Where the tests themselves run under nohup, a closed terminal would be ignored.
        inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self._process = subprocess.Popen(
            [*start, *words, "--output", str(path)],
            env=child_environment(COLUMNS="120"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        signal.signal(signal.SIGHUP, inherited)
        for line in self._process.stdout:
            if line == HERE:
                return
        raise AssertionError(self._process.stderr.read())

    def stop(self):
        self._process.kill()
        self._process.communicate()

    def send(self, number):
        self._process.send_signal(number)

    def says(self):
        """The next line of what it says of errors."""
        return self._process.stderr.readline().strip()

    def ends(self):
        """Exit code and last words; a program that does not end would need an hour."""
        _, errors = self._process.communicate(timeout=60)
        assert "Traceback" not in errors
        return self._process.returncode, errors

    @property
    def saved(self):
        folder = self.path / "checkpoints"
        if not folder.is_dir():
            return []
        return sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdecimal())


@pytest.fixture
def run_program():
    """Makes a `_Program`, which ends with the test whatever it does."""
    made = []

    def make(*arguments, **options):
        made.append(_Program(*arguments, **options))
        return made[-1]

    yield make
    for program in made:
        program.stop()


@pytest.mark.parametrize(
    "number, code", [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_before_anything_is_written(run_program, tmp_path, number, code):
    program = run_program(tmp_path / "run", "planning", 0)
    program.send(number)
    ended, errors = program.ends()
    assert (ended, "nothing was written." in errors) == (code, True)
    assert "--resume" not in errors
    assert not (tmp_path / "run").exists()


def test_inside_the_compiler_before_the_first_step(run_program, tmp_path):
    program = run_program(tmp_path / "run", "step", 0)
    program.send(signal.SIGTERM)
    code, errors = program.ends()
    assert code == 143
    assert errors.startswith("interrupted: no step was taken since the start. Resume with\n")
    assert errors.strip().endswith("--resume")
    assert program.saved == []


def test_a_second_ctrl_c_stops_at_once(run_program, tmp_path):
    """Also inside a compiler; the first one is told what it waits for."""
    program = run_program(tmp_path / "run", "step", 2)  # Of 1 step, and of 2.
    program.send(signal.SIGINT)
    assert program.says() == (
        "SIGINT: this step is finished and saved first; Ctrl-C now stops at once"
    )
    program.send(signal.SIGINT)
    code, errors = program.ends()
    assert code == 130
    (step,) = program.saved
    assert step == 3
    assert errors.startswith("stopped at once: steps since the checkpoint of step 3 are lost.")


def test_the_terminal_is_closed(run_program, tmp_path):
    """Nobody reads what is printed then; the run is saved."""
    program = run_program(tmp_path / "run", "steps", 4)
    program.send(signal.SIGHUP)
    code, errors = program.ends()
    assert code == 129
    last = program.saved[-1]
    assert f"interrupted: saved at step {last}. Resume with" in errors
    assert last >= 5


def test_nohup_is_kept(run_program, tmp_path):
    program = run_program(tmp_path / "run", "steps", 4, start=["nohup"])
    program.send(signal.SIGHUP)
    program.send(signal.SIGTERM)
    code, errors = program.ends()
    assert code == 143
    assert "interrupted: saved at step" in errors
