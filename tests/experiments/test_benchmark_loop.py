"""The benchmark of the training loop: both loops do the same work, and what it says of targets."""

import io

import jax
import numpy as np
import pytest
from rich.console import Console

from experiments.benchmark_loop import LoopSettings, bare_loop, print_loop, train_once
from masam_jax.config import DataConfig, Experiment, ModelConfig, OptimizationConfig, SeedConfig
from masam_jax.methods import parse_method
from masam_jax.training.distribution import make_placement
from masam_jax.training.problem import build_problem
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import Task
from tests.experiments.loop_report import LOOP

STEPS = 4


@pytest.fixture(scope="module")
def problem():
    return build_problem(
        Experiment(
            data=DataConfig("synthetic", train_size=24, validation_size=40, test_size=40),
            model=ModelConfig(width=4),
            optimization=OptimizationConfig(steps=STEPS, batch_size=12, learning_rate=1e-2),
            seeds=SeedConfig(seeds=2),
        ),
        make_placement,
    )


@pytest.mark.parametrize("spec", ["late_fusion", "masam:rho=1"])
def test_the_bare_loop_trains_what_the_training_loop_does(problem, spec):
    task = Task(problem, parse_method(spec))
    params, seconds = bare_loop(task, STEPS)()
    state, step = init_state(task), SeedStep(task)
    begun = jax.device_get(state.params)
    for number in range(STEPS):
        state, _ = step(state, task.batches.at(number), number)

    assert seconds > 0
    # The loops are compiled apart, and so sums are rounded apart.
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-4),
        jax.device_get(params),
        jax.device_get(state.params),
    )
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), begun, jax.device_get(params))
    assert max(jax.tree.leaves(moved)) > 1e-2


def test_the_training_loop_is_timed(problem):
    turn = train_once(problem, "late_fusion")
    assert 0 < STEPS * turn.step < turn.whole


def test_each_target_is_said_to_be_met_or_not():
    stream = io.StringIO()
    print_loop(LOOP, LoopSettings(), Console(file=stream, width=120))
    text = stream.getvalue()
    assert "late fusion: the loop over a bare one: 0.95 (at least 0.9: met)" in text
    assert "MASAM: one after the other over together: 2.50 (at least 3: not met)" in text


@pytest.mark.parametrize("wrong", ["seeds", "together", "steps", "rounds"])
def test_numbers_below_one_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{wrong} must be at least 1, got 0"):
        LoopSettings(**{wrong: 0})
