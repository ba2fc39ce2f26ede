"""The third part of a method: what a step, or an epoch, optimises."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import jax
import optax


class Probe(Protocol):
    """What a schedule may ask of the training loop between two steps, for all seeds at once."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, sorted."""

    def losses(self, params: optax.Params, split: str) -> Mapping[str, jax.Array]:
        """``{"fusion": [S], m: [S]}``, plain cross-entropy on ``"fit"`` or ``"held_out"`` samples.

        Both are parts of the training samples; validation samples are never seen.
        """

    def train(
        self, params: optax.Params, opt_state: optax.OptState, state: Any, steps: int
    ) -> tuple[Any, Any]:
        """``(params, opt_state)`` after ``steps`` steps on ``"fit"`` samples with that state.

        The batches are functions of the step that the probe was made at.
        """


@dataclasses.dataclass(frozen=True)
class Schedule:
    """One update of all parameters on every batch, and nothing between steps.

    A method with another schedule gives other values, or overrides `revise`.

    Attributes:
      by_modality: whether a step is one update for each modality in turn (sorted order): its
        encoder and the partition ``other``, on its loss alone. The objective then gets features of
        this modality alone, and the transformation the static extra argument ``phase``.
    """

    by_modality: bool = False

    def period(self, steps_per_epoch: int) -> int | None:
        """Steps between two calls of `revise`, the first before the first step; None for none."""
        del steps_per_epoch
        return None

    def held_out(self) -> float:
        """The share of the training samples that `Probe` keeps for ``"held_out"``."""
        return 0.0

    def revise(
        self, probe: Probe, params: optax.Params, opt_state: optax.OptState, state: Any
    ) -> Any:
        """The objective's state ``[S, …]`` for the steps until the next call."""
        del probe, params, opt_state
        return state
