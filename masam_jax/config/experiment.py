"""Everything that the numbers depend on, but for the method; and as JSON."""

import dataclasses
from typing import Any

from masam_jax.config.data import CorruptionConfig, DataConfig
from masam_jax.config.model import ModelConfig
from masam_jax.config.training import EvaluationConfig, OptimizationConfig, SeedConfig


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that the numbers depend on, but for the method."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    corruption: CorruptionConfig = dataclasses.field(default_factory=CorruptionConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    optimization: OptimizationConfig = dataclasses.field(default_factory=OptimizationConfig)
    seeds: SeedConfig = dataclasses.field(default_factory=SeedConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)

    @property
    def chosen_model(self) -> ModelConfig:
        """The model's settings, without encoders and weights of modalities that are left out."""
        chosen = self.data.modalities
        return self.model.of_modalities(chosen) if chosen else self.model


def as_json(config: Any) -> dict[str, Any]:
    """A configuration dataclass as nested dicts of plain values."""
    return dataclasses.asdict(config)


# Fields that are younger than the format of `config.json`, each with what was done before it, as
# JSON has it.
_YOUNGER: dict[str, dict[str, Any]] = {
    "corruption": {"input_noise_of": []},
    "data": {"modalities": []},
    "evaluation": {
        "min_epochs": 0,
        "log_gradients": False,
        "measure": [],
        "measure_every": 5,
        "measure_samples": 256,
        "keep_parameters": None,
    },
    "model": {"network": None, "remat": False},
    "optimization": {
        "optimizer": "adamw",
        "momentum": 0.9,
        "schedule": "constant",
        "warmup": 0,
        "clip_norm": None,
        "ema": None,
        "learning_rate_factor": [],
        "freeze": [],
        "class_weights": [],
        "sampler": "uniform",
        "regression_loss": "squared",
    },
}


def completed(content: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a run as this version would have written it.

    Args:
      content: of ``config.json``; sections may lack fields that its version did not have.
    """
    sections = {
        name: {**fields, **content[name]}
        for name, fields in _YOUNGER.items()
        if isinstance(content.get(name), dict)
    }
    return {**content, **sections}


def experiment_from_json(content: dict[str, Any]) -> Experiment:
    """The inverse of ``as_json`` for an ``Experiment``.

    Raises:
      ValueError: a section or a field is missing, unknown or out of range.
    """
    sections = {
        "data": DataConfig,
        "corruption": CorruptionConfig,
        "model": ModelConfig,
        "optimization": OptimizationConfig,
        "seeds": SeedConfig,
        "evaluation": EvaluationConfig,
    }

    def read(kind: type, section: dict[str, Any]) -> Any:
        # JSON has no tuples.
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in section.items()}
        return kind(**values)

    try:
        content = completed(content)
        return Experiment(**{name: read(kind, content[name]) for name, kind in sections.items()})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the configuration of an experiment: {error}") from error


def changed_fields(old: Any, new: Any, prefix: str = "") -> list[str]:
    """What differs between two configurations as JSON, one ``name: old -> new`` each."""
    if isinstance(old, dict) and isinstance(new, dict):
        changes = []
        for name in sorted(old.keys() | new.keys()):
            path = f"{prefix}.{name}" if prefix else name
            changes += changed_fields(old.get(name), new.get(name), path)
        return changes
    return [] if old == new else [f"{prefix}: {old!r} -> {new!r}"]
