"""What an experiment is: a question of the paper, and the runs, tables and pictures to answer it.

An experiment is a file of this folder that ends in

    EXPERIMENT = PaperExperiment("ablation", "Which part of MASAM helps?", plan, conclude)

    if __name__ == "__main__":
        run_alone(EXPERIMENT)

``plan`` says which comparisons are trained on one data set, and ``conclude`` makes tables and
pictures of all that were. Training, resuming and writing are `experiments.conduct`'s, and the
experiment is found once `experiments.catalog` has its name.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from masam_jax.analysis.records import Directory, MethodRecord
from masam_jax.analysis.result_table import ResultTable
from masam_jax.analysis.statistics import Summary, summarize
from masam_jax.analysis.style import Plot
from masam_jax.config.published import settings_of

# Fewer cannot tell a difference that matters from chance; `--quick` is to see that everything runs.
SEEDS, QUICK_SEEDS, QUICK_STEPS = 8, 2, 20


def plain_name(dataset: str) -> str:
    """A data set, as ``--dataset`` takes it, as a plain file name."""
    return re.sub(r"[^\w.=-]+", "-", dataset).strip("-.")


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much is trained.

    Attributes:
      seeds: number of seeds; None for 8, on published data for the published number.
      steps: optimizer steps; None for the data set's own length.
      quick: whether it is only to be seen that everything runs.
    """

    seeds: int | None = None
    steps: int | None = None
    quick: bool = False

    def options(self, dataset: str) -> dict[str, Any]:
        """Keywords of `masam_jax.compare`: seeds, length, and what is left out for speed.

        Args:
          dataset: as ``--dataset`` takes it.
        """
        seeds, steps = self.seeds, self.steps
        if self.quick:
            seeds, steps = seeds or QUICK_SEEDS, steps or QUICK_STEPS
        published = settings_of(dataset) is not None
        if seeds is None and not published:
            seeds = SEEDS
        options: dict[str, Any] = {"loggers": ()}
        options |= {} if seeds is None else {"seeds": seeds}
        options |= {} if steps is None else {"steps": steps}
        if not published:
            # A curve has a dozen points, and a run of minutes is not saved before its end.
            options |= {"log_every": 50, "evaluate_every": 100, "checkpoint_every": 10**9}
        return options


@dataclasses.dataclass(frozen=True)
class PlannedSearch:
    """Options that are searched before a comparison, as ``masam tune`` does.

    Trials are judged by validation samples, with training seeds that the comparison does not use.

    Attributes:
      methods: what a method is called in the comparison -> its specification, whose options are not
        searched.
      trials: of each method.
      seeds: that a trial is averaged over.
      first_seed: the first of them.
    """

    methods: Mapping[str, str]
    trials: int
    seeds: int
    first_seed: int = 10_000


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """A comparison that an experiment needs; ``masam compare`` with a name for each method.

    Attributes:
      dataset: as ``--dataset`` takes it.
      label: what it is called among the data set's runs, a plain file name. Experiments that plan
        the same under the same label share it.
      methods: what a method is called here -> ``NAME[:OPTION=VALUE,...]``; late fusion first.
      options: keywords of `masam_jax.compare`.
      search: further methods, whose options are searched first; None for none.
    """

    dataset: str
    label: str
    methods: Mapping[str, str]
    options: Mapping[str, Any]
    search: PlannedSearch | None = None

    @property
    def slug(self) -> str:
        """The data set as a plain file name."""
        return plain_name(self.dataset)

    @property
    def content(self) -> dict[str, Any]:
        """All that the run's numbers depend on, as JSON has it."""
        content: dict[str, Any] = {
            "dataset": self.dataset,
            "methods": list(self.methods.values()),
            "options": {k: list(v) if isinstance(v, tuple) else v for k, v in self.options.items()},
        }
        if self.search is not None:
            searched = dataclasses.asdict(self.search)
            content["search"] = searched | {"methods": list(self.search.methods.values())}
        return content

    @property
    def specifications(self) -> tuple[str, ...]:
        """What is trained, each once: two names may stand for the same."""
        return tuple(dict.fromkeys(self.methods.values()))

    def with_found(self, best: Sequence[str]) -> "PlannedRun":
        """The comparison with the options that were found for the methods of ``search``."""
        searched = self.search.methods if self.search is not None else {}
        found = dict(zip(searched, best, strict=True))
        return dataclasses.replace(self, methods={**self.methods, **found})


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """A planned run, and what it left."""

    planned: PlannedRun
    record: Directory

    def method(self, name: str) -> MethodRecord:
        """What is recorded of a method, by its name in the plan."""
        spec = self.planned.methods[name]
        return self.record.methods[self.planned.specifications.index(spec)]

    def scores(self, name: str) -> list[float | None]:
        """A method's scores, fractions, one a seed."""
        return self.record.scores(self.method(name))

    def summary(self, name: str) -> Summary:
        """Mean and spread of those."""
        return summarize(self.scores(name))


@dataclasses.dataclass(frozen=True)
class Findings:
    """What an experiment found.

    Attributes:
      remarks: sentences made from the numbers.
      tables: each with a name of its own.
      plots: likewise.
    """

    remarks: tuple[str, ...] = ()
    tables: tuple[ResultTable, ...] = ()
    plots: tuple[Plot, ...] = ()


@dataclasses.dataclass(frozen=True)
class PaperExperiment:
    """One experiment.

    Attributes:
      name: of its file, and on the command line.
      question: what it answers, a line.
      plan: ``(dataset, scale)`` -> the comparisons to train on a data set.
      conclude: ``(finished runs, scale)`` -> what came out; runs come as they were planned, one
        data set after the other.
      datasets: those that it runs on where none are named; None for the published ones at hand, or
        those that ship.
    """

    name: str
    question: str
    plan: Callable[[str, Scale], Sequence[PlannedRun]]
    conclude: Callable[[Sequence[FinishedRun], Scale], Findings]
    datasets: tuple[str, ...] | None = None


def by_dataset(runs: Sequence[FinishedRun]) -> dict[str, dict[str, FinishedRun]]:
    """The runs by their data set, and there by their label."""
    found: dict[str, dict[str, FinishedRun]] = {}
    for run in runs:
        found.setdefault(run.planned.dataset, {})[run.planned.label] = run
    return found
