"""Optimizer, seeds, evaluation."""

import dataclasses
from typing import Literal

from masam_jax.config.model import by_modality
from masam_jax.core.specs import Options, check_number, option, unknown
from masam_jax.core.target_losses import TargetError


@dataclasses.dataclass(frozen=True)
class OptimizationConfig(Options):
    """The optimizer, placed after the method's gradient transformation; AdamW unless named."""

    steps: int = option(600, "[1, inf)")
    """Optimizer steps; where a data set's settings count epochs, these take their place."""
    epochs: int | None = option(None, "[1, inf)")
    """Passes through the training samples, instead of a number of steps."""
    batch_size: int = option(100, "[1, inf)")
    """Samples in a batch, of one seed; at most the training samples."""
    learning_rate: float = option(5e-3, "[0, inf)")
    """Learning rate; where a schedule or a warm-up changes it, the highest."""
    weight_decay: float = option(1e-4, "[0, inf)")
    """Weight decay: decoupled in adamw, lion and muon; added to the gradient in adam and sgd."""
    optimizer: Literal["adamw", "adam", "sgd", "lion", "muon"] = "adamw"
    """The optimizer, Optax's; muon for matrices, with AdamW for all other parameters."""
    momentum: float = option(0.9, "[0, 1)")
    """Momentum of sgd; 0 for none."""
    schedule: Literal["constant", "cosine", "linear", "step"] = "constant"
    """The learning rate after the warm-up: constant, falling to 0 at the end of the run, or, with
    step, a tenth in the last 30 % of it."""
    warmup: int = option(0, "[0, inf)")
    """Steps in which the learning rate rises to its height, linearly; 0 for none."""
    clip_norm: float | None = option(None, "(0, inf)")
    """Largest norm of a gradient, over all parameters, after the method; None for any."""
    ema: float | None = option(None, "(0, 1)")
    """Decay of a moving average of the parameters, which is evaluated and predicts in their place;
    None for none."""
    learning_rate_factor: tuple[str, ...] = ()
    """Factors of the learning rate of encoders, each as MODALITY=NUMBER."""
    freeze: tuple[str, ...] = ()
    """Modalities whose encoders stay as they start, with --weights for example; they run as in
    evaluation."""

    class_weights: tuple[str, ...] = ()
    """Weights of the classes in all losses: balanced, or CLASS=NUMBER for some of them."""
    sampler: Literal["uniform", "balanced"] = "uniform"
    """Which training samples come: each once an epoch, or all classes equally often."""
    regression_loss: TargetError = "squared"
    """The loss where data have numbers for targets: the squared or the absolute error."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.weights_of_classes
        both = sorted(set(self.freeze) & set(self.factors))
        if both:
            raise ValueError(f"modality {both[0]!r} is in freeze and has a learning_rate_factor")

    @property
    def factors(self) -> dict[str, float]:
        """Modality -> factor of its encoder's learning rate, where one is given.

        Raises:
          ValueError: (when made) an entry has another form, or its number is not above 0.
        """
        name = "learning_rate_factor"
        return _numbers(name, by_modality(name, self.learning_rate_factor), "(0, inf)")

    @property
    def weights_of_classes(self) -> Literal["balanced"] | dict[str, float] | None:
        """The word "balanced", or class -> weight; None where all weigh the same.

        Raises:
          ValueError: (when made) an entry has another form, or its number is below 0.
        """
        name, entries = "class_weights", self.class_weights
        if not entries or entries == ("balanced",):
            return "balanced" if entries else None
        parts = [entry.rpartition("=") for entry in entries]
        for entry, (label, _, text) in zip(entries, parts, strict=True):
            if not label or not text:
                raise ValueError(f"{name}: {entry!r} is neither balanced nor CLASS=NUMBER")
        if len({label for label, _, _ in parts}) < len(parts):
            raise ValueError(f"{name} names a class twice: {' '.join(entries)}")
        return _numbers(name, {label: text for label, _, text in parts}, "[0, inf)")


def _numbers(name: str, entries: dict[str, str], accepted: str) -> dict[str, float]:
    found = {}
    for key, text in entries.items():
        try:
            found[key] = float(text)
        except ValueError:
            raise ValueError(f"{name}: {key}={text!r} is not a number") from None
        check_number(f"{name}: {key}", found[key], accepted)
    return found


@dataclasses.dataclass(frozen=True)
class SeedConfig(Options):
    """Seeds, all trained together in one compiled step."""

    seeds: int = option(16, "[1, 65536]")
    """Number of seeds: initial parameters, training samples and their order."""
    seed_offset: int = option(0, "[0, 4294967295]")
    """First seed; tune with other seeds than those you report."""

    @property
    def values(self) -> tuple[int, ...]:
        """The seeds themselves."""
        return tuple(range(self.seed_offset, self.seed_offset + self.seeds))


MEASURES = ("trace", "relative_flatness", "sharpness")
"""What can be measured along training."""


@dataclasses.dataclass(frozen=True)
class EvaluationConfig(Options):
    """Logging, evaluation, checkpoints, and what is reported."""

    log_every: int = option(10, "[1, inf)")
    """Steps between two lines of training metrics."""
    log_gradients: bool = False
    """Log the norms of fusion and unimodal gradients of every encoder for methods that need no such
    gradients too; it costs them a pass backwards. Methods that do log them anyway."""
    evaluate_every: int | None = option(20, "[1, inf)")
    """Steps between two evaluations on the validation samples; None for an epoch."""
    checkpoint_every: int | None = option(100, "[1, inf)")
    """Steps between two checkpoints; None for an epoch."""
    patience: int | None = option(None, "[1, inf)")
    """Stop a seed after so many evaluations without a better validation score; None never."""
    min_epochs: int = option(0, "[0, inf)")
    """Passes through the training samples before which patience stops no seed."""
    report: Literal["last", "best"] = "last"
    """Parameters reported: after the last step, or each seed's best by validation score."""
    report_split: Literal["test", "validation"] = "test"
    """Samples that are reported on; validation leaves the test samples untouched, for tuning."""
    measure: tuple[str, ...] = ()
    """What to measure of every encoder along training: trace (of the Hessian), relative_flatness,
    sharpness; with blanks or commas between them. docs/geometry.md says what they are."""
    measure_every: int = option(5, "[1, inf)")
    """Passes through the training samples (epochs, not steps) between two such measurements."""
    measure_samples: int = option(256, "[1, inf)")
    """Training samples that are measured on, always the same; all where there are fewer."""

    keep_parameters: int | None = option(None, "[1, inf)")
    """Epochs between two copies of the parameters that stay on the disk, from the first step on,
    for the plane of their trajectory; None keeps none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.measures:
            if name not in MEASURES:
                raise ValueError(f"measure: {unknown('quantity', name, MEASURES)}")

    @property
    def measures(self) -> tuple[str, ...]:
        """What is measured along training, each once, in the order of `MEASURES`.

        Raises:
          ValueError: (when made) one is not known.
        """
        asked = [name for entry in self.measure for name in entry.split(",") if name]
        return tuple(sorted(set(asked), key=(*MEASURES, *asked).index))
