"""Which data are trained on, what is taken from them, and how they are read."""

import dataclasses
from typing import Literal

from masam_jax.core.specs import Options, option


@dataclasses.dataclass(frozen=True)
class DataConfig(Options):
    """Which data, and how it is split."""

    dataset: str = "mfeat"
    """Data set, as NAME[:OPTION=VALUE,...]; masam datasets list shows the names."""
    train_size: int | None = option(100, "[1, inf)")
    """Training samples, drawn per seed and stratified by class; None takes all that remain."""
    validation_size: int | None = option(400, "[1, inf)")
    """Validation samples, the same for every seed; None takes those that were published."""
    test_size: int | None = option(1000, "[1, inf)")
    """Test samples, the same for every seed; None takes those that were published."""
    split_seed: int = option(0, "[0, inf)")
    """Seed of whatever of the validation and test split was not published."""
    augment: bool = True
    """Whether training samples are augmented, where the data set has augmentation."""
    modalities: tuple[str, ...] = ()
    """Modalities that are trained on, as a,b; all of the data set's when left out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [name for words in self.modalities for name in words.split(",") if name]
        # However they are written, the same modalities are the same run.
        object.__setattr__(self, "modalities", tuple(sorted(set(names))))


@dataclasses.dataclass(frozen=True)
class CorruptionConfig(Options):
    """What is taken from the data, or put in their way; nothing by default."""

    label_noise: float = option(0.0, "[0, 0.8]")
    """Share of the training labels that are wrong, 0 to 0.8."""
    label_noise_kind: Literal["symmetric", "asymmetric"] = "symmetric"
    """Wrong labels: any other class with the same chance, or always the next class."""
    label_fraction: float = option(1.0, "(0, 1]")
    """Share of the training samples that is trained on."""
    missing: float = option(0.0, "[0, 1]")
    """Probability that a sample lacks a modality, of each by itself; one always remains."""
    missing_in: Literal["train", "test", "all"] = "all"
    """Where samples lack modalities; test means the validation and test samples."""
    missing_at_test: tuple[str, ...] = ()
    """Modalities that no validation or test sample has."""
    input_noise: float | None = option(None, "(-inf, inf)")
    """Signal-to-noise ratio in dB of Gaussian noise on the standardised inputs; None for none."""
    input_noise_in: Literal["train", "test", "all"] = "test"
    """Where inputs are noisy; test means the validation and test samples."""
    input_noise_of: tuple[str, ...] = ()
    """Modalities whose inputs are noisy; all that can be when left out."""
    corruption_seed: int = option(0, "[0, inf)")
    """Seed of which labels are wrong and what is missing, the same for every training seed."""


@dataclasses.dataclass(frozen=True)
class InputConfig(Options):
    """Where prepared data are, and how they are read; no number depends on it."""

    data_dir: str | None = None
    """Directory of prepared data sets; $MASAM_DATA_DIR or ~/masam_data when None."""
    source: str | None = None
    """Directory of the data set's own files, from which it is prepared if it is not yet."""
    workers: int = option(0, "[0, 1024]")
    """Processes that read batches ahead; 0 for threads of this one."""
    threads: int = option(2, "[1, 1024]")
    """Threads that decode, in each process."""
