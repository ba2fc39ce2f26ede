"""What the settings of a published data set are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from masam_jax.config import (
    DataConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)

PUBLISHED_METHODS = (
    "fusion_only",
    "late_fusion",
    "sam",
    "masam",
    "masam:select=all",
    "masam:select=random",
    "masam:scale_by_alignment=false",
)
"""The paper's baseline, SAM, MASAM and its ablations."""


@dataclasses.dataclass(frozen=True)
class PublishedSettings:
    """Where the command line starts for a data set.

    Attributes:
      experiment: data, model, optimization, seeds and evaluation.
      methods: method -> options that were published for these data, where they are not the
        method's defaults; what `masam_jax.methods.parse_method` takes.
      compared: methods that are compared where none are named.
      published: method -> the published result, in the data set's own metric, mean of 4 seeds.
    """

    experiment: Experiment
    methods: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    compared: tuple[str, ...] = PUBLISHED_METHODS
    published: Mapping[str, float] = dataclasses.field(default_factory=dict)


def published_experiment(dataset: str, model: ModelConfig) -> Experiment:
    """The setting common to all data sets of the paper.

    Batches of 16, AdamW with learning rate 1e-4, at most 200 epochs, stopped after 10 without a
    better validation score, 4 seeds; the best epoch's parameters are reported. Weight decay is
    0.01, which is PyTorch's default; the paper gives none.

    Args:
      dataset: its name.
      model: encoders and fusion.
    """
    return Experiment(
        data=DataConfig(dataset, train_size=None, validation_size=None, test_size=None),
        model=model,
        optimization=OptimizationConfig(
            epochs=200, batch_size=16, learning_rate=1e-4, weight_decay=0.01
        ),
        seeds=SeedConfig(seeds=4),
        evaluation=EvaluationConfig(
            evaluate_every=None, checkpoint_every=None, patience=10, report="best"
        ),
    )
