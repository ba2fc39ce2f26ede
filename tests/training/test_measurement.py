"""Measuring along training: when it happens, that it resumes, and that it changes nothing."""

import dataclasses
import io
import json

import jax
import numpy as np
import pytest
from rich.console import Console

from masam_jax.config import (
    DataConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    OutputConfig,
    SeedConfig,
)
from masam_jax.config.errors import RunError
from masam_jax.methods import parse_method
from masam_jax.training.interrupt import InterruptedRun, InterruptRequest
from masam_jax.training.parameter_copies import read_copies
from masam_jax.training.plan import plan_training
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.run import execute
from masam_jax.training.saved_model import open_model

# Two steps are an epoch.
EXPERIMENT = Experiment(
    data=DataConfig("synthetic:samples=150", 16, 30, 40),
    model=ModelConfig(width=4, depth=1),
    optimization=OptimizationConfig(steps=7, batch_size=8),
    seeds=SeedConfig(2),
    evaluation=EvaluationConfig(
        log_every=2,
        evaluate_every=2,
        checkpoint_every=3,
        measure=("trace",),
        measure_every=1,
        keep_parameters=2,
    ),
)


def sum_of_squares(task):
    del task

    def measure(point):
        of_leaves = [
            np.square(jax.device_get(x)).reshape(2, -1).sum(1) for x in jax.tree.leaves(point)
        ]
        return {"trace": {"m0": sum(of_leaves)}}

    return measure


def train(path, experiment=EXPERIMENT, make=sum_of_squares, request=None, resume=False):
    plan = plan_training(parse_method("masam:rho=1"), experiment, measurement=make)
    output = OutputConfig(str(path), resume=resume)
    with jax.numpy_dtype_promotion("standard"):
        return execute(plan, output, [], ProgressReport(Console(file=io.StringIO())), request)


def records(path, split):
    lines = (path / "metrics.jsonl").read_text().splitlines()
    return [r for r in map(json.loads, lines) if r["split"] == split]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    return train(tmp_path_factory.mktemp("measured") / "run")


def test_every_epoch_and_at_the_end(measured):
    found = records(measured, "geometry")
    assert [r["step"] for r in found] == [2, 4, 6, 7]
    assert all(len(r["trace"]["m0"]) == 2 for r in found)


def test_nothing_else_changes(measured, tmp_path):
    config = dataclasses.replace(EXPERIMENT.evaluation, measure=(), keep_parameters=None)
    plain = train(tmp_path / "run", dataclasses.replace(EXPERIMENT, evaluation=config), None)
    assert not records(plain, "geometry")
    assert not (plain / "parameters").exists()
    for split in ("train", "validation"):
        assert records(plain, split) == records(measured, split)
    with_, without = (json.loads((p / "result.json").read_text()) for p in (measured, plain))
    assert with_["test"] == without["test"]


def test_an_interrupted_run_measures_the_same(measured, tmp_path):
    request = InterruptRequest()

    def stopping(task):
        def measure(point):
            request.signal_number = 2
            return sum_of_squares(task)(point)

        return measure

    with pytest.raises(InterruptedRun):
        train(tmp_path / "run", make=stopping, request=request)
    path = train(tmp_path / "run", resume=True)
    assert (path / "metrics.jsonl").read_text() == (measured / "metrics.jsonl").read_text()
    for kept in (measured / "parameters").iterdir():
        assert (path / "parameters" / kept.name).read_bytes() == kept.read_bytes()


def test_copies_of_parameters_begin_with_the_first_step(measured):
    like = open_model(measured).point(best=False).params
    found = read_copies(measured, like)
    assert list(found) == [0, 4, 7]
    jax.tree.map(np.testing.assert_array_equal, found[7], like)
    assert any(np.any(x != y) for x, y in zip(*map(jax.tree.leaves, (found[0], like)), strict=True))
    with pytest.raises(RunError, match="parameters of another network"):
        read_copies(measured, like["encoders"])


def test_what_measures_is_needed_where_it_is_asked_for():
    with pytest.raises(RunError, match="nothing was given that measures along training"):
        plan_training(parse_method("masam"), EXPERIMENT)


@pytest.mark.parametrize(
    "measure, expected",
    [
        (("trace,sharpness",), ("trace", "sharpness")),
        (("sharpness", "trace", "sharpness"), ("trace", "sharpness")),
        ((), ()),
    ],
)
def test_names_with_blanks_or_commas(measure, expected):
    assert EvaluationConfig(measure=measure).measures == expected


def test_unknown_quantities():
    with pytest.raises(ValueError, match="measure: unknown quantity 'sharp'; did you mean 'sharpn"):
        EvaluationConfig(measure=("trace,sharp",))
