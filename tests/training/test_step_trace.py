"""``--profile``: a trace is written, and nothing else changes."""

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import jax
import pytest

from masam_jax.config.errors import RunError
from masam_jax.training.step_trace import CALL_NAME, StepTrace, check_profiler

_TWO_RUNS = """
import sys
from masam_jax.cli.command_line import main
words = "train --dataset synthetic --method late_fusion --seeds 1 --steps 8 --width 4".split()
words += "--batch-size 8 --log-every 2 --evaluate-every 4 --no-plots --loggers csv".split()
for name, further in (("plain", []), ("traced", ["--profile"])):
    assert main([*words, *further, "--output", name]) == 0
"""


def _steps(path):
    """Numbers of the steps that the trace names."""
    (found,) = path.glob("plugins/profile/*/*.xplane.pb")
    planes = jax.profiler.ProfileData.from_file(str(found)).planes
    events = [event for plane in planes for line in plane.lines for event in line.events]
    return sorted({dict(e.stats)["step_num"] for e in events if e.name == CALL_NAME})


def test_a_run_with_a_trace_has_the_same_numbers(tmp_path):
    """In a process without libtpu, beside which the profiler crashes."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", _TWO_RUNS],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    plain, traced = (
        json.loads((tmp_path / name / "result.json").read_text()) for name in ("plain", "traced")
    )
    for name in ("test", "validation", "best_step", "steps"):
        assert traced[name] == plain[name]
    # Stretches begin at 0, 1, 2, 4 and 6; two of them warm up.
    assert _steps(tmp_path / "traced" / "profile") == [2, 4, 6]
    assert done.stdout.count("trace of steps 2 to 8 in traced/profile") == 1
    assert list(tmp_path.glob("traced/profile/plugins/profile/*/perfetto_trace.json.gz"))
    assert not (tmp_path / "plain" / "profile").exists()


class _Notes:
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def profiler(monkeypatch):
    """What would have been asked of JAX's profiler."""
    asked = []
    monkeypatch.setattr(jax.profiler, "start_trace", lambda *a, **k: asked.append("start"))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: asked.append("stop"))
    return asked


def _calls(trace, count, ends_with=None):
    for step in range(count):
        with trace.call(step, None):
            pass
    if ends_with is not None:
        raise ends_with


def test_a_loop_that_ends_by_an_error_leaves_what_there_was(profiler, tmp_path):
    progress = _Notes()
    with pytest.raises(KeyboardInterrupt), StepTrace(tmp_path, "masam", progress) as trace:
        _calls(trace, 4, ends_with=KeyboardInterrupt)
    assert profiler == ["start", "stop"]
    assert progress.notes == [f"masam: trace from step 2 in {tmp_path}"]


def test_a_loop_of_two_calls_has_no_trace(profiler, tmp_path):
    progress = _Notes()
    with StepTrace(tmp_path, "masam", progress) as trace:
        _calls(trace, 2)
        trace.end(2, None)
    assert progress.notes == ["masam: no trace, for the run ended within its warm-up"]
    assert profiler == []


def test_one_trace_at_a_time(monkeypatch, tmp_path):
    def refuse(*args, **options):
        raise RuntimeError("Profile has already been started.")

    monkeypatch.setattr(jax.profiler, "start_trace", refuse)
    with (
        pytest.raises(RunError, match=r"--profile: JAX's profiler does not start: .* already"),
        StepTrace(tmp_path, "masam", _Notes()) as trace,
    ):
        _calls(trace, 3)


def test_a_trace_that_cannot_be_written_ends_no_run(profiler, monkeypatch, tmp_path):
    def fail():
        raise OSError("no space left")

    monkeypatch.setattr(jax.profiler, "stop_trace", fail)
    progress = _Notes()
    with StepTrace(tmp_path, "masam", progress) as trace:
        _calls(trace, 6)
        trace.end(6, None)
    assert progress.notes == ["masam: the trace could not be written: no space left"]


@pytest.mark.parametrize("platforms, refused", [(None, True), ("tpu,cpu", True), ("cpu", False)])
def test_libtpu_without_a_tpu_is_refused(platforms, refused, monkeypatch):
    """There the profiler ends the process: a segmentation fault."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(jax, "config", SimpleNamespace(values={"jax_platforms": platforms}))
    with pytest.raises(RunError, match="JAX_PLATFORMS=cpu") if refused else nullcontext():
        check_profiler()
