"""One training step of every method of the zoo, as the training loop runs it."""

from collections.abc import Callable

import jax
import numpy as np

from experiments.benchmark_models import IMAGE_SHAPE, NUM_CLASSES, VECTOR_SIZE
from experiments.benchmark_variants import Variant
from masam_jax.config import (
    DataConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.data import MultimodalData
from masam_jax.methods import method_names, parse_method
from masam_jax.training.distribution import make_placement
from masam_jax.training.problem import Problem, build_problem
from masam_jax.training.seed_step import SeedStep
from masam_jax.training.state import init_state
from masam_jax.training.task import Task

ZOO_BASELINE = "late_fusion"
_SHAPES = {"mlp": (VECTOR_SIZE,), "conv": IMAGE_SHAPE}
_SAMPLES = 256


def make_zoo_problem(encoder: str, modalities: int, batch_size: int) -> Problem:
    """Random samples, and the encoders that ``masam train`` would give them, of width 256."""
    generator = np.random.default_rng(0)
    shape = (_SAMPLES, *_SHAPES[encoder])
    data = MultimodalData(
        name="noise",
        features={
            f"m{i}": generator.standard_normal(shape).astype(np.float32) for i in range(modalities)
        },
        labels=np.arange(_SAMPLES, dtype=np.int32) % NUM_CLASSES,
        num_classes=NUM_CLASSES,
    )
    experiment = Experiment(
        data=DataConfig("noise", train_size=None, validation_size=20, test_size=20),
        model=ModelConfig(width=256, depth=3),
        optimization=OptimizationConfig(batch_size=batch_size),
        seeds=SeedConfig(1),
    )
    return build_problem(
        experiment, lambda seeds, batch: make_placement(seeds, batch, jax.devices()[:1]), data
    )


def make_zoo_variants(problem: Problem) -> dict[str, Callable[[], Variant]]:
    """A function for each registered method, the baseline first; calling it compiles the step."""
    names = sorted(method_names(), key=lambda name: name != ZOO_BASELINE)
    return {name: lambda name=name: _variant(problem, name) for name in names}  # type: ignore[misc]


def _variant(problem: Problem, name: str) -> Variant:
    task = Task(problem, parse_method(name))
    seed_step, state = SeedStep(task, on_host=False), init_state(task)
    batch = task.batches.at(0)
    state, _ = seed_step(state, batch, 0)
    program = seed_step.program
    if program is None:
        raise RuntimeError(f"{name}: the step was not compiled whole")
    return Variant(
        step=lambda state, none: (seed_step(state, batch, 1)[0], none),
        params=state,
        opt_state=None,
        programs=(program,),
    )
