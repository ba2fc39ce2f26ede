"""What can be asked on the command line, as typed options; docstrings are their help."""

import dataclasses
from typing import Literal

import tyro

from masam_jax.training.config import DistributionConfig, Experiment, OutputConfig

# The published radius, and those that `make tune` chose on validation samples and other seeds.
DEMO_METHODS = (
    "fusion_only",
    "late_fusion",
    "sam:rho=0.01",
    "masam",
    "masam:rho=48",
    "masam:rho=6,select=all",
    "masam:rho=24,select=random",
    "masam:rho=24,scale_by_alignment=false",
)


@dataclasses.dataclass(frozen=True)
class Train:
    """Train one method on one data set, with one seed or several at once."""

    method: str = "masam"
    """Method, as NAME[:OPTION=VALUE,...]; see the list above."""
    experiment: Experiment = dataclasses.field(default_factory=Experiment)
    output: OutputConfig = dataclasses.field(default_factory=OutputConfig)
    distribution: DistributionConfig = dataclasses.field(default_factory=DistributionConfig)


@dataclasses.dataclass(frozen=True)
class Compare:
    """Train several methods with the same seeds, splits and initial parameters, and compare."""

    methods: tuple[str, ...] = DEMO_METHODS
    """Methods, each as NAME[:OPTION=VALUE,...]; see the list above."""
    baseline: str | None = None
    """Method that the others are tested against; late_fusion if it is there, else the first."""
    experiment: Experiment = dataclasses.field(default_factory=Experiment)
    output: OutputConfig = dataclasses.field(default_factory=OutputConfig)
    distribution: DistributionConfig = dataclasses.field(default_factory=DistributionConfig)


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Evaluate a run's checkpoint on a split, and write its predictions."""

    run: tyro.conf.Positional[str]
    """Run directory: of masam train, of masam compare, or one method's inside a comparison."""
    split: Literal["train", "validation", "test"] = "test"
    """Samples to evaluate on."""
    checkpoint: Literal["last", "best"] | None = None
    """Parameters after the last step, or best by validation accuracy; None as the run reported."""
    predictions: str | None = None
    """CSV file for the predictions of every seed and sample."""


@dataclasses.dataclass(frozen=True)
class Runs:
    """List the runs in and below a directory."""

    directory: tyro.conf.Positional[str] = "runs"
    """Where to look."""


Command = Train | Compare | Evaluate | Runs
# By the word that asks for them.
COMMANDS: dict[str, type[Command]] = {
    "train": Train,
    "compare": Compare,
    "evaluate": Evaluate,
    "runs": Runs,
}
