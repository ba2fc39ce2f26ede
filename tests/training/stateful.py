"""A problem in memory whose encoders have batch norm and dropout."""

import jax
import numpy as np

from masam_jax.config import (
    CorruptionConfig,
    DataConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.data import MultimodalData
from masam_jax.training.distribution import make_placement
from masam_jax.training.problem import build_problem


def vectors(rows=60, *, multi_label=False, present=None):
    """Modalities a and b, of which b says more; 3 classes, or 3 labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(rows, dtype=np.int32) % 3
    centres = {"a": rng.normal(size=(3, 4)), "b": rng.normal(size=(3, 3)) * 3}
    features = {
        m: (where[labels] + rng.normal(size=(rows, where.shape[1]))).astype(np.float32)
        for m, where in centres.items()
    }
    if multi_label:
        labels = np.stack([labels == 0, labels != 1, rng.random(rows) < 0.5], 1).astype(np.int32)
    return MultimodalData(
        "vectors",
        features,
        labels,
        3,
        present=present or {},
        metric="auprc" if multi_label else "accuracy",
    )


def stateful_problem(
    seeds=2, *, first=0, data=None, steps=6, devices=1, corruption=None, model=None, **evaluation
):
    """24 samples to train on in batches of 12; two steps are an epoch."""
    intervals = {"log_every": 2, "evaluate_every": 2, "checkpoint_every": 2}
    experiment = Experiment(
        data=DataConfig("vectors", train_size=24, validation_size=12, test_size=12),
        corruption=corruption or CorruptionConfig(),
        model=model or ModelConfig(width=5, encoders=("a=ffn", "b=ffn"), dropout=0.3),
        optimization=OptimizationConfig(steps=steps, batch_size=12, learning_rate=0.1),
        seeds=SeedConfig(seeds, first),
        evaluation=EvaluationConfig(**(intervals | evaluation)),
    )

    def place(count, batch):
        return make_placement(count, batch, jax.devices()[:devices])

    return build_problem(experiment, place, vectors() if data is None else data)
