"""The moving average of parameters: its course, and that it is what predicts."""

import dataclasses
import io

import jax
import numpy as np
import pytest
from rich.console import Console

from masam_jax.config import DataConfig, Experiment, ModelConfig, OptimizationConfig, SeedConfig
from masam_jax.methods import parse_method
from masam_jax.predict import load_predictor
from masam_jax.training.course import reported_point
from masam_jax.training.evaluate import evaluate_run
from masam_jax.training.interrupt import InterruptedRun, InterruptRequest
from masam_jax.training.loop import train_method
from masam_jax.training.predictions import Predictors
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import abstract_state, init_state
from masam_jax.training.storage.checkpoints import Checkpoints
from masam_jax.training.task import Task
from tests.saved_runs import save_run

DECAY = 0.7


def _task(problem, spec, ema=DECAY):
    optimization = dataclasses.replace(problem.experiment.optimization, ema=ema)
    experiment = dataclasses.replace(problem.experiment, optimization=optimization)
    return Task(dataclasses.replace(problem, experiment=experiment), parse_method(spec))


@pytest.mark.parametrize("spec, seeds", [("masam:rho=1", 1), ("masam:rho=1", 2), ("mla", 2)])
def test_the_average_follows_the_parameters_of_every_step(make_problem, spec, seeds):
    task = _task(make_problem(seeds), spec)
    state, step = init_state(task), SeedStep(task)
    expected = jax.device_get(state.params)
    for t in range(3):
        state, _ = step(state, task.batches.at(t), t)
        expected = jax.tree.map(
            lambda a, p: DECAY * a.astype(np.float64) + (1 - DECAY) * p,
            expected,
            jax.device_get(state.params),
        )
    found = jax.device_get(reported_point(state, best=False).params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, expected
    )
    assert not jax.tree.all(jax.tree.map(np.array_equal, found, state.params))


def test_training_itself_does_not_read_the_average(make_problem):
    problem, ends = make_problem(2), []
    for ema in (None, DECAY):
        task = _task(problem, "late_fusion", ema)
        state, step = init_state(task), SeedStep(task)
        for t in range(2):
            state, _ = step(state, task.batches.at(t), t)
        ends.append(jax.device_get(state.params))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), *ends)


class _InterruptAt(InterruptRequest):
    def __init__(self, steps):
        self._left = steps

    @property
    def signal_number(self):
        self._left -= 1
        return 2 if self._left < 0 else None


def _train(task, directory, interrupt=None):
    directory.mkdir(exist_ok=True)
    result = train_method(
        task,
        directory,
        {"method": task.method.spec},
        predict=Predictors(task.problem).of(task),
        progress=ProgressReport(Console(file=io.StringIO())),
        interrupt=interrupt or InterruptRequest(),
    )
    with Checkpoints(directory / "checkpoints", {"method": task.method.spec}) as checkpoints:
        state, _ = checkpoints.restore(abstract_state(task))
    return {k: v for k, v in result.items() if "second" not in k}, jax.device_get(state)


@pytest.mark.parametrize("seeds", [1, 2])
def test_an_interruption_leaves_no_trace(make_problem, tmp_path, seeds):
    task = _task(make_problem(seeds, steps=4), "masam:rho=1")
    whole, whole_state = _train(task, tmp_path / "whole")
    with pytest.raises(InterruptedRun):
        _train(task, tmp_path / "parts", _InterruptAt(2))
    parts, parts_state = _train(task, tmp_path / "parts")
    assert parts == whole
    assert jax.tree.structure(parts_state) == jax.tree.structure(whole_state)
    assert jax.tree.all(jax.tree.map(np.array_equal, parts_state, whole_state))


def test_the_best_parameters_are_averages(make_problem, tmp_path):
    _, state = _train(_task(make_problem(2, steps=2), "late_fusion"), tmp_path)
    assert state.best_step.tolist() == [2, 2]
    assert jax.tree.all(jax.tree.map(np.array_equal, state.best_params, state.average.params))


@pytest.mark.parametrize("checkpoint", ["last", "best"])
def test_a_saved_run_predicts_by_the_average(tmp_path, checkpoint):
    experiment = Experiment(
        data=DataConfig("synthetic:samples=150", 60, 30, 40),
        model=ModelConfig(width=4, depth=1),
        optimization=OptimizationConfig(batch_size=20, ema=DECAY),
        seeds=SeedConfig(2),
    )
    path = save_run(tmp_path / "run", ["late_fusion"], experiment)
    predictor = load_predictor(path, checkpoint=checkpoint)
    (evaluation,) = evaluate_run(path, "test", checkpoint)
    np.testing.assert_allclose(
        predictor.of_dataset().by_seed, evaluation.predictions.probabilities, rtol=1e-5, atol=1e-6
    )
