"""Problems on prepared data, read from disk or put into memory."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from masam_jax.config import (
    CorruptionConfig,
    DataConfig,
    EvaluationConfig,
    Experiment,
    InputConfig,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.methods import parse_method
from masam_jax.training.distribution import make_placement
from masam_jax.training.interrupt import InterruptRequest
from masam_jax.training.loop import train_method
from masam_jax.training.predictions import Predictors
from masam_jax.training.problem import build_problem
from masam_jax.training.progress_report import ProgressReport
from masam_jax.training.task import Task

FEED_FORWARD = ModelConfig(width=4, encoders=("mri=ffn", "tabular=ffn"), dropout=0.3)


def prepared_problem(
    prepared: Any,
    name: str,
    seeds: int = 2,
    *,
    options: dict[str, Any] | None = None,
    in_memory: bool = False,
    devices: int = 1,
    batch_size: int = 6,
    steps: int = 4,
    train_size: int | None = None,
    model: ModelConfig = FEED_FORWARD,
    corruption: CorruptionConfig | None = None,
    augment: bool = True,
) -> Any:
    """A problem on a data set's made-up copy."""
    data = prepared.open(name, **(options or {}))
    experiment = Experiment(
        data=DataConfig(name, train_size, None, None, augment=augment),
        corruption=corruption or CorruptionConfig(),
        model=model,
        optimization=OptimizationConfig(steps=steps, batch_size=batch_size),
        seeds=SeedConfig(seeds),
        evaluation=EvaluationConfig(log_every=1, evaluate_every=2, checkpoint_every=100),
    )

    def place(count: int, batch: int) -> Any:
        return make_placement(count, batch, jax.devices()[:devices])

    kind = type(data.builder)
    with contextlib.ExitStack() as stack:
        original = kind.IN_MEMORY
        stack.callback(setattr, kind, "IN_MEMORY", original)
        kind.IN_MEMORY = in_memory
        return build_problem(experiment, place, data, InputConfig())


def run(problem: Any, spec: str, directory: Path, stop: int | None = None) -> dict[str, Any]:
    """Trains, from the last checkpoint if there is one, and is interrupted after ``stop`` steps."""
    directory.mkdir(exist_ok=True)
    task = Task(problem, parse_method(spec))
    return train_method(
        task,
        directory,
        {"method": spec},
        predict=Predictors(problem).of(task),
        progress=ProgressReport(Console(file=io.StringIO())),
        interrupt=InterruptRequest() if stop is None else _InterruptAfter(stop),
    )


class _InterruptAfter(InterruptRequest):
    def __init__(self, steps: int) -> None:
        self._left = steps

    @property
    def signal_number(self) -> int | None:
        self._left -= 1
        return 2 if self._left <= 0 else None
