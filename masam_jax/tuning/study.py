"""The trials of one method: an Optuna study in an SQLite file, which survives being killed."""

import dataclasses
import errno
import math
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from masam_jax.config.errors import RunError
from masam_jax.core.extras import needs
from masam_jax.methods import BoundMethod, Choice, Integers, LogUniform, Search
from masam_jax.training.course import OnEvaluation
from masam_jax.tuning.search_space import SearchSpace

# Here, not for the whole folder: who compares methods reads `best_file` without Optuna.
with needs("masam_jax.tuning", "train", "tune"):
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial, TrialState
    from sqlalchemy.exc import SQLAlchemyError

# Trials that are drawn at random, and trials that no other is pruned before.
_STARTUP = 4
# Share of the steps in which no trial is pruned.
_WARM_UP = 1 / 3

_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED)

TrainTrial = Callable[[BoundMethod, OnEvaluation], list[float]]
"""``(method, on_evaluation) -> validation score of every seed``; passes a `PrunedRun` on."""

# Its notices on every trial are not for the user of a command line.
optuna.logging.set_verbosity(optuna.logging.ERROR)


class PrunedRun(Exception):
    """A run that is not worth finishing, given how others did at the same step."""


@dataclasses.dataclass(frozen=True)
class TrialOutcome:
    """A trial that counts towards the budget.

    Attributes:
      spec: the method with the options that were tried.
      score: validation score of every seed; None where the trial was pruned.
      step: the step of its last evaluation.
    """

    spec: str
    score: tuple[float, ...] | None
    step: int

    @property
    def mean(self) -> float:
        """The objective; -inf where the trial was pruned."""
        return -math.inf if self.score is None else sum(self.score) / len(self.score)


class Trial:
    """A trial that was begun.

    Attributes:
      method: what is trained.
    """

    def __init__(
        self,
        study: optuna.Study,
        asked: optuna.Trial,
        method: BoundMethod,
        steps: int,
        same: FrozenTrial | None,
    ) -> None:
        """Of `MethodStudy.begin`, which knows of a finished trial of the same options."""
        self.method = method
        self._study = study
        self._asked = asked
        self._steps = steps
        self._same = same

    def report(self, step: int, score: float) -> None:
        """Records an evaluation.

        Raises:
          PrunedRun: the trial is not worth finishing, and has ended here.
        """
        self._asked.report(score, step)
        # Nothing is saved by pruning a trial that is done.
        if step < self._steps and self._asked.should_prune():
            self._study.tell(self._asked, state=TrialState.PRUNED)
            raise PrunedRun

    def finish(self, score: list[float]) -> None:
        """Ends it with the validation score of every seed."""
        self._asked.set_user_attr("score", score)
        self._study.tell(self._asked, sum(score) / len(score))

    def repeats(self) -> bool:
        """Whether a finished trial had the same options; this one has ended as it would, then."""
        if self._same is None:
            return False
        with suppress(PrunedRun):
            for step, score in sorted(self._same.intermediate_values.items()):
                self.report(step, score)
            self.finish(self._same.user_attrs["score"])
        return True


class MethodStudy:
    """The trials of one method, the first of them with its own defaults.

    A trial depends on those before it and on nothing else: the sampler starts anew from a seed for
    each. What a killed session left unfinished is marked as failed, and tried once more.
    """

    def __init__(self, storage: RDBStorage, space: SearchSpace, *, trials: int, steps: int) -> None:
        """Opens the study, or creates it.

        Args:
          storage: of ``open_storage``.
          space: the method, and where to look.
          trials: the budget; a method with nothing to search gets one trial.
          steps: training steps of a trial that is not pruned.
        """
        self.space = space
        self.budget = trials if space.options else 1
        self._steps = steps
        self._study = optuna.create_study(
            storage=storage,
            study_name=space.method.spec,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=_STARTUP, n_warmup_steps=int(_WARM_UP * steps)
            ),
        )

    @property
    def outcomes(self) -> list[TrialOutcome]:
        """Trials that count towards the budget, in their order."""
        return [_outcome(trial) for trial in self._trials(*_COUNTED)]

    @property
    def best(self) -> TrialOutcome:
        """The outcome of the highest mean score, the earlier one on a tie."""
        return max(self.outcomes, key=lambda outcome: outcome.mean)

    @property
    def remaining(self) -> int:
        """Trials that are left of the budget."""
        return self.budget - len(self._trials(*_COUNTED))

    def advance(self, train: TrainTrial) -> TrialOutcome | None:
        """Runs the next trial; None once the budget is spent.

        Whatever ``train`` raises, but for a ``PrunedRun``, is passed on; the trial is then tried
        once more by the next call, with the same options.
        """
        trial = self.begin()
        if trial is None:
            return None
        if not trial.repeats():
            with suppress(PrunedRun):
                trial.finish(train(trial.method, trial.report))
        return self.outcomes[-1]

    def begin(self) -> "Trial | None":
        """The next trial, to be trained; None once the budget is spent.

        One trial at a time: what was begun before, and not ended, is given up and begun again.
        """
        counted = self._trials(*_COUNTED)
        if len(counted) >= self.budget:
            return None
        asked, method = self._ask(first=not counted, index=len(counted))
        finished = self._trials(TrialState.COMPLETE)
        same = next((t for t in finished if t.user_attrs["spec"] == method.spec), None)
        return Trial(self._study, asked, method, self._steps, same)

    def _ask(self, *, first: bool, index: int) -> tuple[optuna.Trial, BoundMethod]:
        for stale in self._trials(TrialState.RUNNING):
            self._study.tell(stale.number, state=TrialState.FAIL)
        options, given = dict(self.space.options), {}
        if first:
            given = self.space.defaults
            options = {name: options[name] for name in given}
        elif (last := self._trials()[-1]).state is TrialState.FAIL:
            given = last.params
        if given and not self._trials(TrialState.WAITING):
            self._study.enqueue_trial(given)
        seed = zlib.crc32(f"{self.space.method.spec} {index}".encode())
        self._study.sampler = optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=_STARTUP, constant_liar=False
        )
        trial = self._study.ask({name: _distribution(s) for name, s in options.items()})
        method = self.space.method if first else self.space.bind(trial.params)
        trial.set_user_attr("spec", method.spec)
        return trial, method

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)


@contextmanager
def open_storage(path: Path) -> Iterator[RDBStorage]:
    """The SQLite file of all studies, made where there is none.

    Raises:
      RunError: it is damaged, or of an Optuna that this one cannot read.
      OSError: the disk is full.
    """
    try:
        storage = _open(path)
        try:
            yield storage
        finally:
            storage.remove_session()
            storage.engine.dispose()
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        if "disk is full" in f"{error} {error.__cause__}":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
        raise _unusable(path, error) from error


def _open(path: Path) -> RDBStorage:
    try:
        return RDBStorage(f"sqlite:///{path.resolve()}")
    except RuntimeError as error:  # How Optuna reports a file of another version of itself.
        raise _unusable(path, error) from error


def _unusable(path: Path, error: Exception) -> RunError:
    return RunError(
        f"{path} is damaged or cannot be used ({str(error).strip().splitlines()[0]}); --overwrite"
        " starts the tuning again"
    )


def _outcome(trial: FrozenTrial) -> TrialOutcome:
    score = trial.user_attrs.get("score") if trial.state is TrialState.COMPLETE else None
    return TrialOutcome(
        spec=trial.user_attrs["spec"],
        score=None if score is None else tuple(score),
        step=trial.last_step or 0,
    )


def _distribution(search: Search) -> BaseDistribution:
    if isinstance(search, Choice):
        return CategoricalDistribution(search.values)
    if isinstance(search, Integers):
        return IntDistribution(search.low, search.high)
    return FloatDistribution(search.low, search.high, log=isinstance(search, LogUniform))
