"""Small problems for the tests of training."""

import jax
import pytest

from masam_jax.config import (
    DataConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.data import make_synthetic
from masam_jax.training.distribution import make_placement
from masam_jax.training.problem import build_problem
from tests.promotion import standard_promotion

__all__ = ["standard_promotion"]


@pytest.fixture(scope="session")
def small_data():
    return make_synthetic(samples=200, dims=(4,), dominance=(2.0, 0.5), num_classes=3)


@pytest.fixture
def make_problem(small_data):
    """A function that builds a small problem, on one device unless told otherwise.

    ``further`` are fields of the optimization, ``network`` of the model; ``axes``, ``rules`` and
    ``parallel`` are of `make_placement`.
    """

    def make(
        seeds=2,
        *,
        steps=6,
        batch_size=8,
        devices=1,
        seed_offset=0,
        further=None,
        axes=None,
        rules=(),
        parallel="jit",
        network=None,
        **evaluation,
    ):
        intervals = {"log_every": 2, "evaluate_every": 2, "checkpoint_every": 2}
        experiment = Experiment(
            data=DataConfig("synthetic", train_size=16, validation_size=40, test_size=40),
            model=ModelConfig(**({"width": 4, "depth": 1} | (network or {}))),
            optimization=OptimizationConfig(steps=steps, batch_size=batch_size, **(further or {})),
            seeds=SeedConfig(seeds, seed_offset),
            evaluation=EvaluationConfig(**(intervals | evaluation)),
        )

        def place(num_seeds, batch):
            return make_placement(
                num_seeds,
                batch,
                jax.devices()[:devices],
                axes=axes,
                rules=rules,
                parallel=parallel,
            )

        return build_problem(experiment, place, small_data)

    return make
