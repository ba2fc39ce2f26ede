"""A run that is made longer is the run that would have been so long from the start."""

import dataclasses
import io
import json
import shutil

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
    added_length,
    as_json,
)
from masam_jax.config.errors import RunError
from masam_jax.methods import parse_method
from masam_jax.training.evaluate import evaluate_run
from masam_jax.training.plan import plan_comparison, plan_training
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.run import execute
from masam_jax.training.state import abstract_state
from masam_jax.training.storage.checkpoints import Checkpoints

EXPERIMENT = Experiment(
    data=DataConfig("synthetic:samples=150", 16, 30, 40),
    model=ModelConfig(width=4, depth=1),
    optimization=OptimizationConfig(steps=4, batch_size=8, ema=0.9),
    seeds=SeedConfig(2),
    evaluation=EvaluationConfig(log_every=2, evaluate_every=2, checkpoint_every=100),
)
METHODS = ("masam:rho=1", "late_fusion")


def _run(path, methods=METHODS, resume=False, **optimization):
    experiment = dataclasses.replace(
        EXPERIMENT, optimization=dataclasses.replace(EXPERIMENT.optimization, **optimization)
    )
    bound = [parse_method(spec) for spec in methods]
    if len(bound) == 1:
        plan = plan_training(bound[0], experiment)
    else:
        plan = plan_comparison(bound, None, experiment)
    said = io.StringIO()
    output = OutputConfig(str(path), resume=resume)
    execute(plan, output, [], ProgressReport(Console(file=said, width=200)))
    return plan, said.getvalue()


def _state(plan, task, place):
    with Checkpoints(
        place / "checkpoints", json.loads((place / "config.json").read_text())
    ) as all_:
        return jax.device_get(all_.restore(abstract_state(task))[0])


def _numbers(path):
    found = json.loads(path.read_text())
    kept = {k: v for k, v in found.items() if "second" not in k and k not in ("digest", "methods")}
    return {k: v for k, v in kept.items() if "sha256" not in k}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A comparison of 4 steps made one of 8, and one of 8 steps; with what was said."""
    root = tmp_path_factory.mktemp("longer")
    with jax.numpy_dtype_promotion("standard"):
        _run(root / "short")
        shutil.copytree(root / "short", root / "grown")
        _, said = _run(root / "grown", resume=True, steps=8)
        plan, _ = _run(root / "whole", steps=8)
    return root, plan, said


def test_every_number_is_that_of_the_longer_run(runs):
    root, plan, said = runs
    assert f"{root / 'grown'}: going on with the run of 4 steps, to 8" in said
    for task in plan.tasks:
        grown, whole = (root / name / "methods" / task.method.slug for name in ("grown", "whole"))
        states = [_state(plan, task, place) for place in (grown, whole)]
        assert jax.tree.all(jax.tree.map(np.array_equal, *states))
        assert (grown / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
        assert _numbers(grown / "result.json") == _numbers(whole / "result.json")
        assert _numbers(grown / "result.json")["steps"] == 8
    for name in ("config.json", f"methods/{plan.methods[0].slug}/config.json"):
        assert (root / "grown" / name).read_text() == (root / "whole" / name).read_text()


def test_killed_before_its_first_step_it_is_evaluated_and_goes_on(runs, tmp_path):
    root, plan, _ = runs
    path = tmp_path / "run"
    shutil.copytree(root / "short", path)
    for result in (path / "results.json", *path.glob("methods/*/result.json")):
        result.unlink()
    shutil.copy(root / "whole" / "config.json", path)
    assert [found.step for found in evaluate_run(path, "test", None)] == [4, 4]
    _run(path, resume=True, steps=8)
    for name in (method.slug for method in plan.methods):
        ours, theirs = (r / "methods" / name / "metrics.jsonl" for r in (path, root / "whole"))
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize(
    "methods, change, message",
    [
        (METHODS, {"steps": 3}, "another configuration: optimization.steps: 4 -> 3"),
        (METHODS, {"steps": 8, "learning_rate": 0.1}, "another configuration"),
        (METHODS, {"epochs": 8}, "another configuration"),
    ],
)
def test_what_is_not_longer_is_another_run(runs, methods, change, message):
    root, _, _ = runs
    with pytest.raises(RunError, match=message):
        _run(root / "short", methods, resume=True, **change)
    assert (root / "short" / "results.json").exists()


@pytest.mark.parametrize(
    "spec, options, message",
    [
        ("late_fusion", {"schedule": "cosine"}, "with schedule=cosine the learning rate fell over"),
        ("aug:hidden=4", {}, "method 'aug:hidden=4' depends on the length of its run; start a run"),
    ],
)
def test_what_would_have_been_another_run_is_refused(tmp_path, spec, options, message):
    path = tmp_path / "run"
    _run(path, [spec], steps=1, **options)
    with pytest.raises(RunError, match=message):
        _run(path, [spec], resume=True, steps=2, **options)
    assert (path / "result.json").exists()


def test_epochs_are_a_length_too():
    short, long = (
        as_json(dataclasses.replace(EXPERIMENT, optimization=OptimizationConfig(epochs=n)))
        for n in (2, 5)
    )
    found = added_length(short, long)
    assert found is not None
    assert (found.unit, found.before, found.after) == ("epochs", 2, 5)
    assert added_length(long, short) is None
    assert added_length({"kind": "tune"}, long) is None
