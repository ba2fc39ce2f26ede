"""What a method of the zoo is made of."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import optax

from masam_jax.core.partition import Labels
from masam_jax.core.refresh import Refresh
from masam_jax.core.specs import write_options
from masam_jax.methods.objective import LATE_FUSION_OBJECTIVE, Objective
from masam_jax.methods.schedule import Schedule
from masam_jax.methods.search import Search

GradientKind = Literal["fusion", "unimodal"]


class Context(NamedTuple):
    """What a method may need to know of the training it takes part in.

    Attributes:
      steps_per_epoch: training steps in which every sample is seen once.
      steps: training steps in all.
    """

    steps_per_epoch: int = 1
    steps: int = 1


def identity(
    options: Any, labels: Labels, context: Context
) -> optax.GradientTransformationExtraArgs:
    """The transformation of a method that leaves gradients as they are."""
    del options, labels, context
    return optax.with_extra_args_support(optax.identity())


@dataclasses.dataclass(frozen=True)
class Method:
    """One method of the zoo: at most three parts, and what is said of it.

    Attributes:
      name: what specifications call it.
      summary: one line for ``--help`` and listings.
      options: a frozen dataclass whose fields all have defaults; its ``__post_init__`` raises
        ``ValueError`` for values out of range.
      title: ``options -> str``, the name in tables and plots; see `titled`.
      build: the first part, a gradient transformation: ``(options, labels, context) -> tx``. One
        that draws at random keeps its PRNG key in its state, a NamedTuple, as ``key``: uint32[2],
        which training sets for every seed.
      objective: the second part, what is minimised and how it predicts: ``(options, context) ->
        Objective``.
      schedule: the third part, what a step or an epoch optimises: ``options -> Schedule``.
      loss_weight: ``options -> float``, λ of all unimodal losses in the total loss.
      alignment_part: ``options -> k``, γ is taken from one sample in k; see
        ``multimodal_value_and_grad``.
      signals: names of the signals of the batch that the transformation reads, beside those of
        ``multimodal_value_and_grad``; see ``masam_jax.models.method_signals``.
      gradients: which gradients the transformation reads beside the total one, ``"fusion"`` and
        ``"unimodal"``: their norms are logged at no further pass; or a function of the options that
        says so.
      reports: what the method's states report of every step (see `masam_jax.method_report`), name
        -> what it is, in a line for plots.
      fusion: ``options -> str | None``, the fusion head that the method asks for; None for the
        one of the experiment.
      search: for each option worth tuning, where to look; or a function of the other options that
        says so.
      host_dispatch: ``options -> bool``, whether choosing the dominant modality on the host saves
        work (see ``masam_jax.training.train_step``).
      cycle: ``options -> (refresh, …)``, the static argument ``refresh`` of ``update`` at every
        step, from the first on and over again; ``(None,)`` for a method that takes none.
      warning: ``(options, context) -> str``, what makes the method idle in such a training, to be
        told before it begins; empty where nothing does.
    """

    name: str
    summary: str
    options: type
    title: Callable[[Any], str]
    build: Callable[[Any, Labels, Context], optax.GradientTransformationExtraArgs] = identity
    objective: Callable[[Any, Context], Objective] = lambda options, context: LATE_FUSION_OBJECTIVE
    schedule: Callable[[Any], Schedule] = lambda options: Schedule()
    loss_weight: Callable[[Any], float] = lambda options: 1.0
    alignment_part: Callable[[Any], int] = lambda options: 1
    signals: tuple[str, ...] = ()
    gradients: tuple[GradientKind, ...] | Callable[[Any], tuple[GradientKind, ...]] = ()
    reports: Mapping[str, str] = dataclasses.field(default_factory=dict)
    fusion: Callable[[Any], str | None] = lambda options: None
    search: Mapping[str, Search] | Callable[[Any], Mapping[str, Search]] = dataclasses.field(
        default_factory=dict
    )
    host_dispatch: Callable[[Any], bool] = lambda options: False
    cycle: Callable[[Any], tuple[Refresh | None, ...]] = lambda options: (None,)
    warning: Callable[[Any, Context], str] = lambda options, context: ""

    def __post_init__(self) -> None:
        known = {field.name for field in dataclasses.fields(self.options)}
        searched = self.search(self.options()) if callable(self.search) else self.search
        unknown = sorted(set(searched) - known)
        if unknown:
            raise ValueError(f"method {self.name!r} searches {unknown}, which are no options of it")


@dataclasses.dataclass(frozen=True)
class BoundMethod:
    """A method with its options, as a specification names it.

    Attributes:
      method: the registered method.
      options: an instance of ``method.options``.
      named: the options that the specification named, at their defaults or not.
    """

    method: Method
    options: Any
    named: frozenset[str] = dataclasses.field(default=frozenset(), compare=False)

    @property
    def name(self) -> str:
        """The method's name."""
        return self.method.name

    @property
    def spec(self) -> str:
        """Canonical specification: options that differ from their defaults, in field order."""
        changed = write_options(self.options)
        return f"{self.name}:{changed}" if changed else self.name

    @property
    def title(self) -> str:
        """The name in tables and plots."""
        return self.method.title(self.options)

    @property
    def slug(self) -> str:
        """A directory name, unique among different specifications."""
        return self.spec.replace(":", "_").replace(",", "_").replace("=", "-")

    @property
    def loss_weight(self) -> float:
        """λ of every unimodal loss in the total loss."""
        return self.method.loss_weight(self.options)

    @property
    def alignment_part(self) -> int:
        """γ is taken from one sample in so many."""
        return self.method.alignment_part(self.options)

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the signals of the batch that the transformation reads."""
        return self.method.signals

    @property
    def gradients(self) -> tuple[GradientKind, ...]:
        """Which gradients the transformation reads beside the total one."""
        gradients = self.method.gradients
        return gradients(self.options) if callable(gradients) else gradients

    @property
    def fusion(self) -> str | None:
        """The fusion head that the method asks for, None for that of the experiment."""
        return self.method.fusion(self.options)

    @property
    def search(self) -> Mapping[str, Search]:
        """For each option worth tuning, where to look."""
        search = self.method.search
        return search(self.options) if callable(search) else search

    def objective(self, context: Context) -> Objective:
        """What is minimised, and how it predicts."""
        return self.method.objective(self.options, context)

    @property
    def schedule(self) -> Schedule:
        """What a step or an epoch optimises."""
        return self.method.schedule(self.options)

    @property
    def host_dispatch(self) -> bool:
        """Whether choosing the dominant modality on the host saves work."""
        return self.method.host_dispatch(self.options)

    @property
    def cycle(self) -> tuple[Refresh | None, ...]:
        """What the steps measure anew, from the first on and over again; None for everything."""
        return self.method.cycle(self.options)

    def warning(self, context: Context) -> str:
        """What makes the method idle in such a training; empty where nothing does."""
        return self.method.warning(self.options, context)

    def transformation(
        self, labels: Labels, context: Context
    ) -> optax.GradientTransformationExtraArgs:
        """The gradient transformation, to be placed before the base optimizer.

        Args:
          labels: a modality's name or ``"other"`` for every parameter, as ``masam`` takes them.
          context: the training it takes part in.

        Raises:
          ValueError: an option does not fit the labels (an unknown modality, say).
        """
        return self.method.build(self.options, labels, context)
