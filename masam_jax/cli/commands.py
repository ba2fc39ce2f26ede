"""What can be asked on the command line, as typed options; docstrings are their help."""

import dataclasses
import sys
from typing import Annotated, Literal

import tyro

from masam_jax.config import (
    CompilationConfig,
    CorruptionConfig,
    DataConfig,
    DistributionConfig,
    EvaluationConfig,
    Experiment,
    InputConfig,
    ModelConfig,
    OptimizationConfig,
    OutputConfig,
    SeedConfig,
)
from masam_jax.config.engine import parse_engine
from masam_jax.config.published import PublishedSettings

# The published radius, and those that `make radii` chose on validation samples and other seeds.
DEMO_METHODS = (
    "fusion_only",
    "late_fusion",
    "sam:rho=0.01",
    "masam",
    "masam:rho=48",
    "masam:rho=6,select=all",
    "masam:rho=24,select=random",
    "masam:rho=24,scale_by_alignment=false",
    "recommended",
)


@dataclasses.dataclass(frozen=True)
class Train:
    """Train one method on a data set, with one seed or several."""

    method: str = "masam"
    """Method, as NAME[:OPTION=VALUE,...]; see the list above."""
    config: str | None = None
    """TOML file with options by their names, as steps = 30; those of the command line count."""
    write_config: str | None = None
    """Write such a file, with every option and what it means, and train nothing."""
    experiment: Experiment = dataclasses.field(default_factory=Experiment)
    inputs: InputConfig = dataclasses.field(default_factory=InputConfig)
    output: OutputConfig = dataclasses.field(default_factory=OutputConfig)
    distribution: DistributionConfig = dataclasses.field(default_factory=DistributionConfig)
    programs: CompilationConfig = dataclasses.field(default_factory=CompilationConfig)


@dataclasses.dataclass(frozen=True)
class Compare:
    """Train several methods with the same seeds, splits and initial parameters, and compare."""

    methods: tuple[str, ...] = DEMO_METHODS
    """Methods, each as NAME[:OPTION=VALUE,...], all, or @PATH; see the list above."""
    baseline: str | None = None
    """Method that the others are tested against; late_fusion if it is there, else the first."""
    config: str | None = None
    """TOML file with options by their names, as steps = 30; those of the command line count."""
    write_config: str | None = None
    """Write such a file, with every option and what it means, and train nothing."""
    experiment: Experiment = dataclasses.field(default_factory=Experiment)
    inputs: InputConfig = dataclasses.field(default_factory=InputConfig)
    output: OutputConfig = dataclasses.field(default_factory=OutputConfig)
    distribution: DistributionConfig = dataclasses.field(default_factory=DistributionConfig)
    programs: CompilationConfig = dataclasses.field(default_factory=CompilationConfig)


@dataclasses.dataclass(frozen=True)
class Diagnose:
    """Find out whether one modality drowns the others, by how much, and what helps.

    Trains every modality alone, all of them by the fusion loss, and with unimodal losses too; then
    probes the encoders, and says what was found in three sentences and in a page of plots.
    """

    config: str | None = None
    """TOML file with options by their names, as steps = 30; those of the command line count."""
    write_config: str | None = None
    """Write such a file, with every option and what it means, and train nothing."""
    experiment: Experiment = dataclasses.field(default_factory=Experiment)
    inputs: InputConfig = dataclasses.field(default_factory=InputConfig)
    output: OutputConfig = dataclasses.field(default_factory=OutputConfig)
    programs: CompilationConfig = dataclasses.field(default_factory=CompilationConfig)


@dataclasses.dataclass(frozen=True)
class TuneEvaluation(EvaluationConfig):
    """Logging, evaluation, and which parameters count."""

    checkpoint_every: tyro.conf.Suppress[int] = 100
    report_split: tyro.conf.Suppress[Literal["test", "validation"]] = "validation"
    measure: tyro.conf.Suppress[tuple[str, ...]] = ()
    measure_every: tyro.conf.Suppress[int] = 5
    measure_samples: tyro.conf.Suppress[int] = 256
    keep_parameters: tyro.conf.Suppress[int | None] = None


@dataclasses.dataclass(frozen=True)
class TuneOutput(OutputConfig):
    """Where the tuning is written."""

    output: str | None = None
    """Directory of the tuning; a new one under runs/, named by date and time, when None."""
    resume: bool = False
    """Go on with the tuning in that directory; trials that were finished are kept."""
    overwrite: bool = False
    """Delete the tuning in that directory, and start again."""
    fall_back: tyro.conf.Suppress[bool] = False
    no_plots: tyro.conf.Suppress[bool] = False
    loggers: tyro.conf.Suppress[tuple[str, ...]] = ()
    profile: tyro.conf.Suppress[bool] = False


@dataclasses.dataclass(frozen=True)
class Tune:
    """Search the options of several methods, with the same number of trials for each.

    Options are judged by the validation score, averaged over seeds that a comparison does not use;
    the test samples are never looked at. A method's first trial has its defaults. Trials that are
    worse than the median of the others are pruned, and count.
    """

    methods: tuple[str, ...] = ("all",)
    """Methods, as masam compare takes them; options that a method names are not searched."""
    trials: int = 12
    """Trials of each method; one is enough for a method without options to search."""
    tune_seeds: int = 8
    """Number of seeds that a trial is averaged over."""
    seed_offset: int = 100
    """First of them; other seeds than those of the comparison."""
    engine: str = "local"
    """Where trials are trained: local, or ray:workers=N, methods side by side on a Ray cluster
    (that of $RAY_ADDRESS, or this machine); also cpus and gpus of a worker, as ray:gpus=1."""
    config: str | None = None
    """TOML file with options by their names, as steps = 30; those of the command line count."""
    write_config: str | None = None
    """Write such a file, with every option and what it means, and train nothing."""
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    corruption: CorruptionConfig = dataclasses.field(default_factory=CorruptionConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    optimization: OptimizationConfig = dataclasses.field(default_factory=OptimizationConfig)
    evaluation: TuneEvaluation = dataclasses.field(default_factory=TuneEvaluation)
    inputs: InputConfig = dataclasses.field(default_factory=InputConfig)
    output: TuneOutput = dataclasses.field(default_factory=TuneOutput)
    programs: CompilationConfig = dataclasses.field(default_factory=CompilationConfig)

    def __post_init__(self) -> None:
        for name in ("trials", "tune_seeds"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name)} is out of range: expected an integer >= 1"
                )
        parse_engine(self.engine)
        try:
            SeedConfig(self.tune_seeds, self.seed_offset)
        except ValueError as error:
            message = str(error)
            raise ValueError(
                f"tune_{message}" if message.startswith("seeds=") else message
            ) from None

    @property
    def experiment(self) -> Experiment:
        """What one trial trains."""
        evaluation = {
            field.name: getattr(self.evaluation, field.name)
            for field in dataclasses.fields(EvaluationConfig)
        }
        # A trial that is interrupted begins again.
        evaluation["checkpoint_every"] = sys.maxsize
        return Experiment(
            data=self.data,
            corruption=self.corruption,
            model=self.model,
            optimization=self.optimization,
            seeds=SeedConfig(self.tune_seeds, self.seed_offset),
            evaluation=EvaluationConfig(**evaluation),
        )


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Evaluate a run's checkpoint on a split, and write its predictions."""

    run: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="RUN")]]
    """Run directory: of masam train, of masam compare, or one method's inside a comparison."""
    split: Literal["train", "validation", "test"] = "test"
    """Samples to evaluate on."""
    checkpoint: Literal["last", "best"] | None = None
    """Parameters after the last step, or best by validation score; None as the run reported."""
    fall_back: bool = False
    """Where the last checkpoint is damaged, evaluate the last whole one."""
    predictions: str | None = None
    """CSV file for the predictions of every seed and sample."""
    inputs: str | None = None
    """Table, .npz or folder of new samples, in the place of a split; their classes are in it."""
    label: str | None = None
    """Column of the classes of --inputs; the one that the run's data had, or label, when None."""
    reading: InputConfig = dataclasses.field(default_factory=InputConfig)
    programs: CompilationConfig = dataclasses.field(default_factory=CompilationConfig)

    def __post_init__(self) -> None:
        if self.label is not None and self.inputs is None:
            raise ValueError("label names a column of --inputs; the run's own data have a label")


@dataclasses.dataclass(frozen=True)
class PredictFiles:
    """Predict new samples: rows of a table, paths of media, arrays.

    They are read as the run read its own. Without --output, the first ones are shown.
    """

    run: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="RUN")]]
    """Run directory: of masam train, of masam compare, or one method's inside a comparison."""
    inputs: str | None = None
    """Table, .npz or folder, with the columns that the run's data had; no label is needed."""
    output: str | None = None
    """CSV file for the predictions: name, class, and the probability of each, over all seeds."""
    method: str | None = None
    """Method of a comparison, as NAME[:OPTION=VALUE,...]."""
    checkpoint: Literal["last", "best"] | None = None
    """Parameters after the last step, or best by validation score; None as the run reported."""
    fall_back: bool = False
    """Where the last checkpoint is damaged, predict by the last whole one."""
    reading: InputConfig = dataclasses.field(default_factory=InputConfig)
    programs: CompilationConfig = dataclasses.field(default_factory=CompilationConfig)

    def __post_init__(self) -> None:
        if self.inputs is None:
            raise ValueError(
                "inputs is missing; a table, an .npz file or a folder of new samples is needed"
            )


@dataclasses.dataclass(frozen=True)
class ExportRun:
    """Write a run's network as one program that JAX alone can run.

    StableHLO for several backends at once and batches of any size, with the standardisation inside;
    what goes in and comes out is in metadata.json beside it.
    """

    run: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="RUN")]]
    """Run directory: of masam train, of masam compare, or one method's inside a comparison."""
    output: str | None = None
    """Directory for program.jax and metadata.json; export/ in the run's when None."""
    method: str | None = None
    """Method of a comparison, as NAME[:OPTION=VALUE,...]."""
    checkpoint: Literal["last", "best"] | None = None
    """Parameters after the last step, or best by validation score; None as the run reported."""
    seed: int | None = None
    """One seed's network alone; all of them, averaged, when None."""
    platforms: tuple[str, ...] = ("cpu", "cuda", "tpu")
    """Where the program is to run; cpu, cuda, rocm, tpu."""
    fall_back: bool = False
    """Where the last checkpoint is damaged, export the last whole one."""


@dataclasses.dataclass(frozen=True)
class Runs:
    """List the runs in and below a directory."""

    directory: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="DIRECTORY")]] = "runs"
    """Where to look."""


@dataclasses.dataclass(frozen=True)
class Measure:
    """Measure how flat a run's loss is, and draw its surface.

    Of every encoder and of the whole. Writes tables, pictures and measures.json; needs the extra
    geometry.
    """

    run: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="RUN")]]
    """Run directory: of masam train, of masam compare, or one method's inside a comparison."""
    measure: tuple[str, ...] = ("trace", "relative_flatness", "sharpness")
    """What: trace, relative_flatness, sharpness, spectrum, surface; blanks or commas between."""
    method: str | None = None
    """One method of a comparison, as NAME[:OPTION=VALUE,...]; all of them when None."""
    loss: str = "fusion"
    """Loss: fusion, total, or a modality's name for its own head's."""
    split: Literal["train", "validation", "test"] = "train"
    """Samples to measure on."""
    samples: int | None = None
    """How many of them, always the same ones; None for all."""
    batch_size: int = 256
    """Most samples that are in one program; fewer need less memory."""
    seeds: int | None = None
    """First seeds to measure; None for all. Surfaces are of the first one alone."""
    relative_error: float = 0.05
    """Standard error, as a share of the number, at which the estimates of traces stop."""
    points: int = 25
    """Points along each of the two axes of a surface."""
    extent: float = 1.0
    """Where its axes end, in multiples of filter-normalised directions."""
    checkpoint: Literal["last", "best"] | None = None
    """Parameters after the last step, or best by validation score; None as the run reported."""
    fall_back: bool = False
    """Where the last checkpoint is damaged, measure the last whole one."""
    output: str | None = None
    """Directory for all that is found; measures/ in the run's when None."""
    reading: InputConfig = dataclasses.field(default_factory=InputConfig)
    programs: CompilationConfig = dataclasses.field(default_factory=CompilationConfig)


@dataclasses.dataclass(frozen=True)
class ReportRuns:
    """Join any runs into one page: tables over runs and data sets, ranks, plots.

    Runs of the same data, splits and seeds share a column.
    """

    runs: tyro.conf.Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="RUN ...")]]
    """Run directories: of masam train or masam compare."""
    output: str = "runs/report"
    """Directory for the page, its tables and plots; what a report left there is replaced."""


@dataclasses.dataclass(frozen=True)
class ConductExperiment:
    """Make one of the paper's tables or figures, on the data that are there.

    Without NAME, lists them. What was trained before is not trained again.
    """

    name: tyro.conf.Positional[Annotated[str, tyro.conf.arg(metavar="NAME")]] = ""
    """Which one, or all."""
    datasets: tuple[str, ...] = ()
    """Data sets, each as NAME[:OPTION=VALUE,...] or a path; the published ones that are prepared
    when left out, and where there are none those that ship with the package."""
    seeds: int | None = None
    """Number of seeds; None for 8, on published data for the published number."""
    steps: int | None = None
    """Optimizer steps of each training; None for the data set's own length."""
    quick: bool = False
    """Two seeds, few steps, one data set: to see that everything runs."""
    output: str | None = None
    """Directory of all experiments; runs/experiments when None, with --quick
    runs/experiments-quick."""
    programs: CompilationConfig = dataclasses.field(default_factory=CompilationConfig)

    def __post_init__(self) -> None:
        for option in ("seeds", "steps"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise ValueError(f"{option}={value} is out of range: expected an integer >= 1")


Run = Train | Compare | Diagnose | Tune
"""The commands that train, into a directory of their own."""


def default_command(kind: type, settings: PublishedSettings) -> Run:
    """A command whose defaults are a data set's own settings.

    Args:
      kind: `Train`, `Compare`, `Diagnose` or `Tune`.
      settings: of the data set.
    """
    experiment = settings.experiment
    if kind is Train:
        return Train(experiment=experiment)
    if kind is Compare:
        return Compare(methods=settings.compared, experiment=experiment)
    if kind is Diagnose:
        return Diagnose(experiment=experiment)
    evaluation = {
        name: getattr(experiment.evaluation, name)
        for name in ("log_every", "evaluate_every", "patience", "min_epochs", "report")
    }
    return Tune(
        tune_seeds=experiment.seeds.seeds,
        data=experiment.data,
        model=experiment.model,
        optimization=experiment.optimization,
        evaluation=TuneEvaluation(**evaluation),
    )


Command = (
    Run | Evaluate | PredictFiles | ExportRun | Runs | Measure | ReportRuns | ConductExperiment
)
# By the word that asks for them.
COMMANDS: dict[str, type[Command]] = {
    "train": Train,
    "compare": Compare,
    "diagnose": Diagnose,
    "tune": Tune,
    "evaluate": Evaluate,
    "predict": PredictFiles,
    "export": ExportRun,
    "runs": Runs,
    "measure": Measure,
    "report": ReportRuns,
    "experiment": ConductExperiment,
}
