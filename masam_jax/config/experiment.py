"""The configuration of a run: typed, frozen dataclasses that check themselves.

The docstring under each field is what ``masam train --help`` shows. ``Experiment`` is everything
that the numbers depend on; where files go and on which devices it runs is kept apart, so that a
run may be resumed elsewhere.
"""

import dataclasses
import math
from typing import Any, Literal

from masam_jax.config.literals import check_literals


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which data, and how it is split."""

    dataset: str = "mfeat"
    """Data set, as NAME[:OPTION=VALUE,...]; masam datasets list shows the names."""
    train_size: int | None = 100
    """Training samples, drawn per seed and stratified by class; None takes all that remain."""
    validation_size: int | None = 400
    """Validation samples, the same for every seed; None takes those that were published."""
    test_size: int | None = 1000
    """Test samples, the same for every seed; None takes those that were published."""
    split_seed: int = 0
    """Seed of whatever of the validation and test split was not published."""
    augment: bool = True
    """Whether training samples are augmented, where the data set has augmentation."""

    def __post_init__(self) -> None:
        for name in ("train_size", "validation_size", "test_size"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1)
        _at_least("split_seed", self.split_seed, 0)


@dataclasses.dataclass(frozen=True)
class CorruptionConfig:
    """What is taken from the data, or put in their way; nothing by default."""

    label_noise: float = 0.0
    """Share of the training labels that are wrong, 0 to 0.8."""
    label_noise_kind: Literal["symmetric", "asymmetric"] = "symmetric"
    """Wrong labels: any other class with the same chance, or always the next class."""
    label_fraction: float = 1.0
    """Share of the training samples that is trained on."""
    missing: float = 0.0
    """Probability that a sample lacks a modality, of each by itself; one always remains."""
    missing_in: Literal["train", "test", "all"] = "all"
    """Where samples lack modalities; test means the validation and test samples."""
    missing_at_test: tuple[str, ...] = ()
    """Modalities that no validation or test sample has."""
    input_noise: float | None = None
    """Signal-to-noise ratio in dB of Gaussian noise on the standardised inputs; None for none."""
    input_noise_in: Literal["train", "test", "all"] = "test"
    """Where inputs are noisy; test means the validation and test samples."""
    corruption_seed: int = 0
    """Seed of which labels are wrong and what is missing, the same for every training seed."""

    def __post_init__(self) -> None:
        check_literals(self)
        for name, most in (("label_noise", 0.8), ("missing", 1.0), ("label_fraction", 1.0)):
            value = getattr(self, name)
            if not 0 <= value <= most or (name == "label_fraction" and not value):
                raise ValueError(f"{name}={value} is out of range: expected a number in 0..{most}")
        if self.input_noise is not None and not math.isfinite(self.input_noise):
            raise ValueError(f"input_noise={self.input_noise} is no finite number of dB")
        _at_least("corruption_seed", self.corruption_seed, 0)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network: an encoder for each modality, and a fusion head."""

    width: int = 32
    """Size of each encoder's features, and hidden units of those that choose them freely."""
    depth: int = 2
    """Layers of those encoders that may have any number of them."""
    encoders: tuple[str, ...] = ()
    """Encoders, each as MODALITY=NAME[:OPTION=VALUE,...]; by the kind of the samples when left out.
    Names: mlp, ffn, conv, resnet18, resnet34, resnet50, transformer, conv_transformer,
    text_transformer."""
    weights: tuple[str, ...] = ()
    """Files of pretrained encoders, each as MODALITY=PATH.safetensors, with the names of timm or
    Hugging Face."""
    architecture: Literal["late_fusion", "early_fusion", "shared_backbone"] = "late_fusion"
    """Late fusion of encoders; one transformer over the tokens of all modalities; or one
    transformer that every modality passes by itself."""
    dropout: float = 0.0
    """Dropout rate, in the encoders that have dropout."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of the computation; parameters, losses and scores stay float32."""
    fusion: Literal["concat", "sum", "film", "gated", "attention"] = "concat"
    """Fusion head, for the methods that do not name their own."""

    def __post_init__(self) -> None:
        check_literals(self)
        _at_least("width", self.width, 1)
        _at_least("depth", self.depth, 1)
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} is out of range: expected a rate in [0, 1)")
        for name in ("encoders", "weights"):
            by_modality(name, getattr(self, name))


@dataclasses.dataclass(frozen=True)
class OptimizationConfig:
    """AdamW, placed after the method's gradient transformation."""

    steps: int = 600
    """Optimizer steps."""
    epochs: int | None = None
    """Passes through the training samples, instead of a number of steps."""
    batch_size: int = 100
    """Samples in a batch, of one seed; at most the training samples."""
    learning_rate: float = 5e-3
    """Learning rate, constant."""
    weight_decay: float = 1e-4
    """Decoupled weight decay."""

    def __post_init__(self) -> None:
        _at_least("steps", self.steps, 1)
        if self.epochs is not None:
            _at_least("epochs", self.epochs, 1)
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
    evaluate_every: int | None = 20
    """Steps between two evaluations on the validation samples; None for an epoch."""
    checkpoint_every: int | None = 100
    """Steps between two checkpoints; None for an epoch."""
    patience: int | None = None
    """Stop a seed after so many evaluations without a better validation score; None never."""
    report: Literal["last", "best"] = "last"
    """Parameters reported: after the last step, or each seed's best by validation score."""
    report_split: Literal["test", "validation"] = "test"
    """Samples that are reported on; validation leaves the test samples untouched, for tuning."""

    def __post_init__(self) -> None:
        check_literals(self)
        for name in ("log_every", "evaluate_every", "checkpoint_every", "patience"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that the numbers depend on, but for the method."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    corruption: CorruptionConfig = dataclasses.field(default_factory=CorruptionConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    optimization: OptimizationConfig = dataclasses.field(default_factory=OptimizationConfig)
    seeds: SeedConfig = dataclasses.field(default_factory=SeedConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)


@dataclasses.dataclass(frozen=True)
class InputConfig:
    """Where prepared data are, and how they are read; no number depends on it."""

    data_dir: str | None = None
    """Directory of prepared data sets; $MASAM_DATA_DIR or ~/masam_data when None."""
    source: str | None = None
    """Directory of the data set's own files, from which it is prepared if it is not yet."""
    workers: int = 0
    """Processes that read batches ahead; 0 for threads of this one."""
    threads: int = 2
    """Threads that decode, in each process."""

    def __post_init__(self) -> None:
        _at_least("workers", self.workers, 0)
        _at_least("threads", self.threads, 1)


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
        return Experiment(**{name: read(kind, content[name]) for name, kind in sections.items()})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the configuration of an experiment: {error}") from error


def by_modality(name: str, entries: tuple[str, ...]) -> dict[str, str]:
    """``MODALITY=VALUE`` entries as a dict.

    Raises:
      ValueError: an entry has another form, or names a modality twice.
    """
    found: dict[str, str] = {}
    for entry in entries:
        modality, equals, value = entry.partition("=")
        if not equals or not modality or not value:
            raise ValueError(f"{name}: {entry!r} is not of the form MODALITY=VALUE")
        if modality in found:
            raise ValueError(f"{name}: modality {modality!r} is given twice")
        found[modality] = value
    return found


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
