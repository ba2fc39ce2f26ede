"""What the study reads off a finished case, apart from the run it came from."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments.paper import FinishedRun, plain_name
from experiments.saved import measured
from experiments.study_methods import ALONE, FACTORS, FUSION_ALONE, LATE_FUSION, RECOMMENDED
from masam_jax.analysis.statistics import Summary, summarize

LOOKED_INTO = (
    RECOMMENDED,
    "choice: score",
    "head not corrected",
    FUSION_ALONE,
    ALONE,
    "SAM, tuned",
    "ASAM, tuned",
    "MASAM, tuned",
)
"""Methods whose encoders are compared with late fusion's, in a case with factors."""
RADIUS, SHARPNESS_SEEDS = 0.05, 8
"""Of sharpness: a share of an encoder's norm; seeds, of which these suffice for a picture."""


class Place(NamedTuple):
    """Where a measurement is found; ``modality`` is empty for what is of the whole network."""

    method: str
    measure: str
    modality: str = ""


@dataclasses.dataclass(frozen=True)
class CaseMeasurements:
    """A finished case of the study.

    Attributes:
      dataset: as ``--dataset`` takes it.
      case: what it is called where its data set is known.
      seeds: all that were trained.
      methods: name -> specification, with what was found by a search.
      values: a number for each seed, None where it diverged: ``score`` of every method, in the data
        set's own metric on the samples that are reported; and of some, on the same samples,
        ``accuracy``, ``probe_accuracy`` and ``unimodal_accuracy`` by modality, with
        ``validation_unimodal_accuracy``; ``sharpness``, of the first `SHARPNESS_SEEDS`.
    """

    dataset: str
    case: str
    seeds: tuple[int, ...]
    methods: Mapping[str, str]
    values: Mapping[Place, Sequence[float | None]]

    @property
    def title(self) -> str:
        """Data set and case."""
        return f"{self.dataset}, {self.case}"

    @property
    def slug(self) -> str:
        """Case and data set as a plain file name."""
        return f"study-{self.case.replace(' ', '-')}-{plain_name(self.dataset)}"

    @property
    def has_factors(self) -> bool:
        """Whether every factor has a row here."""
        return set(FACTORS) <= set(self.methods)

    def scores(self, method: str) -> Sequence[float | None]:
        """A method's scores, fractions, one a seed."""
        return self.values[Place(method, "score")]

    def summary(self, method: str) -> Summary:
        """Mean and spread of those."""
        return summarize(self.scores(method))

    def by_modality(self, method: str, measure: str) -> dict[str, Sequence[float | None]]:
        """A measure of each modality, one number a seed."""
        return {
            place.modality: values
            for place, values in self.values.items()
            if place[:2] == (method, measure)
        }

    def over_modalities(self, method: str, measure: str) -> list[float | None]:
        """The mean over modalities, one number a seed; None where one has none."""
        return [
            None if None in each else float(np.mean(np.asarray(each, np.float64)))
            for each in zip(*self.by_modality(method, measure).values(), strict=True)
        ]


def case_of(run: FinishedRun) -> str:
    """What a case is called where its data set is known."""
    return run.planned.label.removeprefix("study-").replace("-", " ")


def measure_case(run: FinishedRun) -> CaseMeasurements:
    """Reads a finished run; sharpness is measured, once, where a case has factors."""
    methods, split = run.planned.methods, run.record.split
    values: dict[Place, Sequence[float | None]] = {
        Place(name, "score"): run.scores(name) for name in methods
    }
    of_encoders = [LATE_FUSION, *(name for name in LOOKED_INTO if name in methods)]
    factors = set(FACTORS) <= set(methods)
    for name in of_encoders if factors else (FUSION_ALONE, ALONE):
        result = run.method(name).result
        values[Place(name, "accuracy")] = result[split]["accuracy"]
        for key, kept in (
            ("probe_accuracy", result[split]),
            ("unimodal_accuracy", result[split]),
            ("validation_unimodal_accuracy", _renamed(result["validation"])),
        ):
            values |= {Place(name, key, m): each for m, each in kept[key].items()}
    if factors:
        # Modalities trained alone have no fused prediction.
        for name in (each for each in of_encoders if each != ALONE):
            values[Place(name, "sharpness")] = _sharpness_of(run, name)
    return CaseMeasurements(
        run.planned.dataset, case_of(run), tuple(run.record.results["seeds"]), methods, values
    )


def _renamed(of_split: Mapping[str, object]) -> dict[str, Mapping[str, list[float | None]]]:
    return {f"validation_{key}": each for key, each in of_split.items() if isinstance(each, dict)}


def _sharpness_of(run: FinishedRun, name: str) -> list[float]:
    slug = run.method(name).result["slug"]
    found: list[float] = measured(
        run, f"sharpness-train-{slug}", lambda: {"seeds": _sharpness(run, name)}
    )["seeds"]
    return found


def _sharpness(run: FinishedRun, name: str) -> list[float]:
    """Rise of the training samples' fusion loss, geometric mean over encoders, one a seed."""
    from masam_jax.geometry import sharpness
    from masam_jax.geometry.of_runs import open_losses

    spec = str(run.method(name).result["spec"])
    of_run = open_losses(run.record.path, spec, split="train", samples=None)
    found = []
    for seed in of_run.seeds[:SHARPNESS_SEEDS]:
        params, batches = of_run.of_seed(seed)
        rises = sharpness(
            of_run.loss("fusion"),
            params,
            batches,
            rho=RADIUS,
            radius="relative",
            labels=of_run.labels,
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log([rises[m].one_step for m in of_run.modalities])
        found.append(float(np.exp(logs.mean())))
    return found
