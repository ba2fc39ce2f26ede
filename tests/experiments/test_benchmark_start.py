"""The benchmark of two starts: what it says of its target, and that each start is its own."""

import io
import json

import jax
import pytest
from rich.console import Console

from experiments import benchmark_start
from experiments.benchmark_start import (
    STEPS,
    StartSettings,
    compile_seconds,
    measure_start,
    print_start,
    read_answer,
)
from tests.experiments.start_report import START


def test_the_target_is_said_to_be_met_or_not():
    stream = io.StringIO()
    print_start(START, StartSettings(quick=True), Console(file=stream, width=120))

    text = stream.getvalue()
    assert "two starts, mlp encoders" in text
    assert "late fusion: a second start compiles for 0.25 of the first (at most 0.25: met)" in text
    assert "MASAM: a second start compiles for 0.30 of the first (at most 0.25: not met)" in text


def test_the_answer_is_the_last_line():
    assert read_answer('a warning\n{"compile_seconds": 1.5}\n') == 1.5


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"resnet": True, "quick": True}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StartSettings(**wrong)


def test_two_starts_of_a_step_share_a_folder_that_was_empty(monkeypatch):
    folders = []

    class _Done:
        stdout = json.dumps({"compile_seconds": 2.0})

    def run(command, *, env, **_):
        folders.append(env["JAX_COMPILATION_CACHE_DIR"])
        return _Done()

    monkeypatch.setattr(benchmark_start.subprocess, "run", run)
    rows = measure_start(StartSettings(), Console(file=io.StringIO()))

    assert [row.step for row in rows] == list(STEPS)
    assert folders[0] == folders[1] != folders[2] == folders[3]
    assert all(row.ratio == 1.0 for row in rows)


@pytest.mark.parametrize("step", STEPS)
def test_compiling_takes_time(step):
    # optax.adamw mixes its step count with floats.
    with jax.numpy_dtype_promotion("standard"):
        assert compile_seconds(step, "mlp", 2) > 0
