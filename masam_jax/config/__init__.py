"""The configuration of a run: typed, frozen dataclasses that check themselves.

The docstring under each field is its help: whole in ``masam train --help-all``, to the first
semicolon or full stop in ``--help``. ``Experiment`` is everything
that the numbers depend on; where files go and on which devices it runs is kept apart, so that a
run may be resumed elsewhere.
"""

from masam_jax.config.data import CorruptionConfig, DataConfig, InputConfig
from masam_jax.config.experiment import (
    Experiment,
    as_json,
    changed_fields,
    completed,
    experiment_from_json,
)
from masam_jax.config.longer import Longer, added_length
from masam_jax.config.model import ModelConfig, by_modality
from masam_jax.config.run import CompilationConfig, DistributionConfig, OutputConfig
from masam_jax.config.training import EvaluationConfig, OptimizationConfig, SeedConfig

__all__ = [
    "CompilationConfig",
    "CorruptionConfig",
    "DataConfig",
    "DistributionConfig",
    "EvaluationConfig",
    "Experiment",
    "InputConfig",
    "Longer",
    "ModelConfig",
    "OptimizationConfig",
    "OutputConfig",
    "SeedConfig",
    "added_length",
    "as_json",
    "by_modality",
    "changed_fields",
    "completed",
    "experiment_from_json",
]
