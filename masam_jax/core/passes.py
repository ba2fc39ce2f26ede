"""What is asked of a loss: the first (clean) pass, and the losses that the second differentiates.

Passes hold functions and flags alone, and compare by them: they are the static part of a signal.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import chex
import jax
import optax

from masam_jax.core.feature_alignment import FeatureProducts
from masam_jax.core.identity import made_of
from masam_jax.core.losses import NO_WEIGHTS, Losses, SampleWeights, Weights
from masam_jax.core.partition import Partition


class Gradients(NamedTuple):
    """Gradients at the clean point, each a tree like the parameters.

    ``unimodal`` is None where it is the difference of the other two over one common weight,
    ``features`` where the loss has no encoders of its own, and ``of_part``, the fusion and the
    unimodal gradient of a part of the samples, where nobody asked for it.
    """

    total: chex.ArrayTree
    fusion: chex.ArrayTree
    unimodal: Any
    per_modality: dict[str, Any] | None
    features: dict[str, FeatureProducts] | None = None
    of_part: dict[str, Any] | None = None


Pullback = Callable[[str], Any]


class Weighing(NamedTuple):
    """By what losses are weighed, in arrays and numbers.

    Attributes:
      modalities: the weights λ of the unimodal losses in the total.
      samples: the mean over the parts of a batch of each `WeightedMean`'s weight; `NO_WEIGHTS`
        where there is one part, which weighs its own samples.
    """

    modalities: Weights
    samples: SampleWeights = NO_WEIGHTS


class Passes(Protocol):
    """What `multimodal_value_and_grad` needs of a loss, in one piece or in two."""

    def clean(
        self, params: optax.Params, args: tuple[Any, ...], weighing: Weighing
    ) -> tuple[Losses, Gradients, Any, Pullback | None]:
        """Losses, gradients, the features that the second pass may reuse, and a pullback.

        The pullback gives the fusion gradient of one modality's parameters alone, None where the
        loss is in one piece.
        """

    def sample_weights(self, params: optax.Params, args: tuple[Any, ...]) -> SampleWeights:
        """The weights of those losses that carry one."""

    def fusion_loss(
        self,
        params: optax.Params,
        args: tuple[Any, ...],
        weighing: Weighing,
        features: Any,
        modality: str | None,
    ) -> jax.Array:
        """The fusion loss, as a function of the parameters of ``modality`` (None: of all)."""

    def total_loss(
        self, params: optax.Params, args: tuple[Any, ...], weighing: Weighing
    ) -> jax.Array:
        """The weighted sum of all losses."""

    def check_partition(
        self, params: optax.Params, args: tuple[Any, ...], partition: Partition
    ) -> None:
        """Raises ``ValueError`` where the second pass would be wrong for ``partition``."""

    def other_needs_every_encoder(
        self, params: optax.Params, args: tuple[Any, ...], partition: Partition
    ) -> bool:
        """Whether the second pass of one modality leaves out a part of ``other``'s gradient."""


class MadeOf:
    """Passes that compare by what they were made of, their class among that."""

    def __init__(self, *parts: Any) -> None:
        self._made_of = made_of((type(self), *parts))

    def __eq__(self, other: object) -> bool:
        """Whether the two were made of the same functions and flags."""
        return isinstance(other, MadeOf) and self._made_of == other._made_of

    def __hash__(self) -> int:
        """As ``__eq__`` compares."""
        return hash(self._made_of)
