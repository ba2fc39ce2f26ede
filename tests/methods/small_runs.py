"""Runs of the training loop on a small problem, for methods with a state of their own."""

from __future__ import annotations

import io
import signal
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from masam_jax.config import (
    DataConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.data import make_synthetic
from masam_jax.methods import parse_method
from masam_jax.training.distribution import make_placement
from masam_jax.training.interrupt import InterruptRequest
from masam_jax.training.loop import train_method
from masam_jax.training.predictions import Predictors
from masam_jax.training.problem import Problem, build_problem
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.state import TrainState, abstract_state
from masam_jax.training.storage.checkpoints import Checkpoints
from masam_jax.training.task import Task


class _InterruptAt(InterruptRequest):
    """Asks to stop after ``step`` steps of this session."""

    def __init__(self, step: int) -> None:
        self._left = step

    @property
    def signal_number(self) -> int | None:
        self._left -= 1
        return signal.SIGINT if self._left <= 0 else None


def small_problem(seeds: int = 2, *, steps: int = 6, devices: int = 1) -> Problem:
    """Two modalities, 3 classes, 20 training samples in batches of 8: 3 steps are an epoch."""
    experiment = Experiment(
        data=DataConfig("synthetic", train_size=20, validation_size=40, test_size=40),
        model=ModelConfig(width=4, depth=1),
        optimization=OptimizationConfig(steps=steps, batch_size=8),
        seeds=SeedConfig(seeds),
        evaluation=EvaluationConfig(log_every=1, evaluate_every=3, checkpoint_every=100),
    )
    data = make_synthetic(samples=200, dims=(4,), dominance=(2.0, 0.5), num_classes=3)
    return build_problem(
        experiment,
        lambda count, batch: make_placement(count, batch, jax.devices()[:devices]),
        data,
    )


def run(problem: Problem, spec: str, directory: Path, stop: int | None = None) -> dict[str, Any]:
    """Trains, from the last checkpoint if there is one, and is interrupted after ``stop`` steps."""
    directory.mkdir(exist_ok=True)
    task = Task(problem, parse_method(spec))
    return train_method(
        task,
        directory,
        {"method": spec},
        predict=Predictors(problem).of(task),
        progress=ProgressReport(Console(file=io.StringIO())),
        interrupt=InterruptRequest() if stop is None else _InterruptAt(stop),
    )


def saved_state(problem: Problem, spec: str, directory: Path) -> TrainState:
    """The state of the last checkpoint, NumPy arrays."""
    with Checkpoints(directory / "checkpoints", {"method": spec}) as checkpoints:
        state, _ = checkpoints.restore(abstract_state(Task(problem, parse_method(spec))))
    return jax.device_get(state)


def numbers(result: dict[str, Any]) -> dict[str, Any]:
    """The result without its times."""
    return {name: value for name, value in result.items() if "second" not in name}
