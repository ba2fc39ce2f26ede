"""The configuration of a run: typed, frozen dataclasses that check themselves.

The docstring under each field is what ``masam train --help`` shows. ``Experiment`` is everything
that the numbers depend on; where files go and on which devices it runs is kept apart, so that a
run may be resumed elsewhere.
"""

import dataclasses
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which data, and how it is split."""

    dataset: str = "mfeat"
    """Name of the data set: mfeat (real data, shipped with the package) or synthetic."""
    train_size: int | None = 100
    """Training samples, drawn per seed and stratified by class; None takes all that remain."""
    validation_size: int = 400
    """Validation samples, the same for every seed."""
    test_size: int = 1000
    """Test samples, the same for every seed."""
    split_seed: int = 0
    """Seed of the validation and test split."""

    def __post_init__(self) -> None:
        if self.train_size is not None:
            _at_least("train_size", self.train_size, 1)
        _at_least("validation_size", self.validation_size, 1)
        _at_least("test_size", self.test_size, 1)
        _at_least("split_seed", self.split_seed, 0)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Encoders, one for each modality."""

    width: int = 32
    """Hidden units of each encoder, and the size of its features."""
    depth: int = 2
    """Layers of each encoder."""
    fusion: Literal["concat", "sum", "film", "gated"] = "concat"
    """Fusion head, for the methods that do not name their own."""

    def __post_init__(self) -> None:
        _at_least("width", self.width, 1)
        _at_least("depth", self.depth, 1)


@dataclasses.dataclass(frozen=True)
class OptimizationConfig:
    """AdamW, placed after the method's gradient transformation."""

    steps: int = 600
    """Optimizer steps."""
    batch_size: int = 100
    """Samples in a batch, of one seed; at most the training samples."""
    learning_rate: float = 5e-3
    """Learning rate, constant."""
    weight_decay: float = 1e-4
    """Decoupled weight decay."""

    def __post_init__(self) -> None:
        _at_least("steps", self.steps, 1)
        _at_least("batch_size", self.batch_size, 1)
        _at_least("learning_rate", self.learning_rate, 0)
        _at_least("weight_decay", self.weight_decay, 0)


@dataclasses.dataclass(frozen=True)
class SeedConfig:
    """Seeds, all trained together in one compiled step."""

    seeds: int = 16
    """Number of seeds: initial parameters, training samples and their order."""
    seed_offset: int = 0
    """First seed; tune with other seeds than those you report."""

    def __post_init__(self) -> None:
        _at_least("seeds", self.seeds, 1)
        _at_least("seed_offset", self.seed_offset, 0)

    @property
    def values(self) -> tuple[int, ...]:
        """The seeds themselves."""
        return tuple(range(self.seed_offset, self.seed_offset + self.seeds))


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Logging, evaluation, checkpoints, and what is reported."""

    log_every: int = 10
    """Steps between two lines of training metrics."""
    evaluate_every: int = 20
    """Steps between two evaluations on the validation samples."""
    checkpoint_every: int = 100
    """Steps between two checkpoints."""
    patience: int | None = None
    """Stop a seed after so many evaluations without a better validation accuracy; None never."""
    report: Literal["last", "best"] = "last"
    """Parameters reported: after the last step, or each seed's best by validation accuracy."""
    report_split: Literal["test", "validation"] = "test"
    """Samples that are reported on; validation leaves the test samples untouched, for tuning."""

    def __post_init__(self) -> None:
        for name in ("log_every", "evaluate_every", "checkpoint_every"):
            _at_least(name, getattr(self, name), 1)
        if self.patience is not None:
            _at_least("patience", self.patience, 1)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that the numbers depend on, but for the method."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    optimization: OptimizationConfig = dataclasses.field(default_factory=OptimizationConfig)
    seeds: SeedConfig = dataclasses.field(default_factory=SeedConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)


@dataclasses.dataclass(frozen=True)
class OutputConfig:
    """Where the run is written."""

    output: str | None = None
    """Run directory; a new one under runs/, named by date and time, when None."""
    resume: bool = False
    """Go on with the run in that directory, from its last checkpoint."""
    overwrite: bool = False
    """Delete the run in that directory, and start again."""
    no_plots: bool = False
    """Leave out the PNG plots and the HTML report."""

    def __post_init__(self) -> None:
        if self.resume and self.overwrite:
            raise ValueError("--resume and --overwrite exclude each other")
        if self.resume and self.output is None:
            raise ValueError("--resume needs --output, the run directory to go on with")


@dataclasses.dataclass(frozen=True)
class DistributionConfig:
    """Several processes, each with its own devices; leave alone for one process."""

    coordinator_address: str | None = None
    """host:port of process 0."""
    num_processes: int = 1
    """Number of processes."""
    process_id: int = 0
    """Which of them this is."""

    def __post_init__(self) -> None:
        _at_least("num_processes", self.num_processes, 1)
        if not 0 <= self.process_id < self.num_processes:
            raise ValueError(
                f"process_id={self.process_id} is out of range: expected 0 to num_processes-1 ="
                f" {self.num_processes - 1}"
            )
        if self.num_processes > 1 and self.coordinator_address is None:
            raise ValueError(
                f"num_processes={self.num_processes} needs --coordinator-address host:port"
            )
        if self.coordinator_address is not None:
            host, _, port = self.coordinator_address.rpartition(":")
            if not host or not port.isdecimal():
                raise ValueError(
                    f"coordinator_address={self.coordinator_address!r} is not host:port"
                )


def as_json(config: Any) -> dict[str, Any]:
    """A configuration dataclass as nested dicts of plain values."""
    return dataclasses.asdict(config)


def experiment_from_json(content: dict[str, Any]) -> Experiment:
    """The inverse of ``as_json`` for an ``Experiment``.

    Raises:
      ValueError: a section or a field is missing, unknown or out of range.
    """
    sections = {
        "data": DataConfig,
        "model": ModelConfig,
        "optimization": OptimizationConfig,
        "seeds": SeedConfig,
        "evaluation": EvaluationConfig,
    }
    try:
        return Experiment(**{name: kind(**content[name]) for name, kind in sections.items()})
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


def _at_least(name: str, value: float, minimum: float) -> None:
    if not minimum <= value < float("inf"):
        raise ValueError(f"{name}={value} is out of range: expected a number >= {minimum}")
