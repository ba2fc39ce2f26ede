"""What the settings of a published data set are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from masam_jax.config import (
    DataConfig,
    EvaluationConfig,
    Experiment,
    ModelConfig,
    OptimizationConfig,
    SeedConfig,
)
from masam_jax.config.model import by_modality
from masam_jax.core.specs import write_value

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
      sources: method -> where its options are from, where that is not the paper of MASAM.
      compared: methods that are compared where none are named.
      published: method -> the published result, in the data set's own metric, mean of 4 seeds.
      needs: modality -> the pretrained weights that its encoder starts from where it was published,
        which are not shipped here.
    """

    experiment: Experiment
    methods: Mapping[str, Mapping[str, float]] = dataclasses.field(default_factory=dict)
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict)
    compared: tuple[str, ...] = PUBLISHED_METHODS
    published: Mapping[str, float] = dataclasses.field(default_factory=dict)
    needs: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def missing_weights(self, model: ModelConfig) -> tuple[str, ...]:
        """A sentence on each modality whose published weights a run goes without.

        Args:
          model: of the run; an encoder other than the published one needs nothing.
        """
        encoders = by_modality("encoders", self.experiment.model.encoders)
        asked = by_modality("encoders", model.encoders)
        given = by_modality("weights", model.weights)
        return tuple(
            f"{modality} starts from random weights; published runs start from {weights}: give"
            f" --weights {modality}=FILE.safetensors, with the names of timm or torchvision."
            for modality, weights in self.needs.items()
            if modality not in given and asked.get(modality) == encoders[modality]
        )

    def options_told(self, methods: Iterable[Any]) -> tuple[str, ...]:
        """A sentence on each method that has options which were published for these data.

        Args:
          methods: of a run, `masam_jax.methods.BoundMethod`; an option that was named is none.
        """
        told: dict[str, str] = {}
        for method in methods:
            published = self.methods.get(method.name, {})
            taken = {
                name: value
                for name, value in published.items()
                if name not in method.named and getattr(method.options, name) == value
            }
            if taken:
                source = self.sources.get(method.name, "as published for these data")
                told.setdefault(method.name, f"{method.name}: {_in_words(taken)}, {source}.")
        return tuple(told.values())


def _in_words(options: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={write_value(value)}" for name, value in options.items())


def published_experiment(dataset: str, model: ModelConfig) -> Experiment:
    """The setting common to all data sets of the paper.

    Batches of 16, AdamW with learning rate 1e-4, at most 200 epochs, stopped after 10 without a
    better validation score, 4 seeds; the best epoch's parameters are reported. From the authors'
    release, where the paper is silent: no weight decay, and at least 4 epochs.

    Args:
      dataset: its name.
      model: encoders and fusion.
    """
    return Experiment(
        data=DataConfig(dataset, train_size=None, validation_size=None, test_size=None),
        model=model,
        optimization=OptimizationConfig(
            epochs=200, batch_size=16, learning_rate=1e-4, weight_decay=0.0
        ),
        seeds=SeedConfig(seeds=4),
        evaluation=EvaluationConfig(
            evaluate_every=None, checkpoint_every=None, patience=10, min_epochs=4, report="best"
        ),
    )
