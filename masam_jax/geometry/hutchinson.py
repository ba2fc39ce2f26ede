"""Hutchinson's estimator: means of vᵀHv over random signs v, until their error is small enough."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from masam_jax.geometry.derivatives import Positions
from masam_jax.geometry.estimate import Estimate, added, is_reached
from masam_jax.geometry.mean_loss import MeanLoss
from masam_jax.geometry.parts import ALL, everything
from masam_jax.geometry.signs import random_signs

# A standard error of fewer is not to be trusted with the decision to stop.
_LEAST_SAMPLES = 16


class Spread(NamedTuple):
    """A linear map from random signs to the vectors v.

    Attributes:
      size: the number of signs.
      apply: from flat signs ``[size]`` to a flat vector of the part.
    """

    size: int
    apply: Callable[[jax.Array], jax.Array]


class _Part:
    """Values of vᵀHv of one part of the parameters: random, or of all unit vectors."""

    def __init__(
        self, mean_loss: MeanLoss, positions: Positions, key: jax.Array, spread: Spread | None
    ) -> None:
        size = mean_loss.size(positions)
        self._spread = Spread(size, lambda signs: signs) if spread is None else spread
        self._mean_loss = mean_loss
        self._positions = positions
        self._key = key
        self._values: list[float] = []
        self._is_exact = False

    @property
    def drawn(self) -> int:
        return len(self._values)

    @property
    def mean(self) -> float:
        return math.fsum(self._values) / (1 if self._is_exact else self.drawn)

    @property
    def standard_error(self) -> float:
        if self._is_exact:
            return 0.0
        return float(np.std(self._values, ddof=1) / math.sqrt(self.drawn))

    def draw(self, count: int, at_once: int) -> None:
        """Adds ``count`` values, or takes all unit vectors where these are not more in all."""
        first = self.drawn
        if self._spread.size <= first + count:
            self._is_exact, self._values = True, []
            self._add(range(self._spread.size), self._unit, at_once)
        else:
            self._add(range(first, first + count), self._signs, at_once)

    def _add(self, numbers: range, source: Callable[[int], jax.Array], at_once: int) -> None:
        for start in range(0, len(numbers), at_once):
            vectors = [self._spread.apply(source(i)) for i in numbers[start : start + at_once]]
            self._values += self._mean_loss.curvatures(vectors, self._positions)

    def _signs(self, number: int) -> jax.Array:
        """The same however many are drawn at a time."""
        key = jax.random.fold_in(self._key, number)
        return random_signs(key, self._spread.size, self._mean_loss.dtype)

    def _unit(self, number: int) -> jax.Array:
        return jnp.zeros(self._spread.size, self._mean_loss.dtype).at[number].set(1)

    def is_reached(self, relative_error: float) -> bool:
        return is_reached(self.mean, self.standard_error, relative_error)

    def estimate(self, relative_error: float) -> Estimate:
        return Estimate(
            mean=self.mean,
            standard_error=self.standard_error,
            samples=self.drawn,
            reached=self.is_reached(relative_error),
            loss=self._mean_loss.loss,
            norm=self._mean_loss.norm(self._positions),
        )


def hutchinson(
    mean_loss: MeanLoss,
    parts: Mapping[str, Positions],
    key: jax.Array,
    *,
    relative_error: float,
    max_samples: int,
    at_once: int,
    spread: Mapping[str, Spread] | None = None,
) -> dict[str, Estimate]:
    """Estimates ``E[vᵀ H v]`` of each part, H its own block of the Hessian.

    Args:
      mean_loss: the loss.
      parts: the leaves of each.
      key: PRNG key.
      relative_error: the standard error over the mean at which a part is done; with several parts
        their sum's too.
      max_samples: at most so many samples of a part.
      at_once: how many vectors are in memory, each batch being read once for all of them.
      spread: of each part, from random signs to v, whose covariance then weighs the Hessian; None
        for the signs themselves, and the trace.

    Raises:
      ValueError: the Hessian is not finite.
    """
    drawing = {
        name: _Part(
            mean_loss, positions, jax.random.fold_in(key, number), spread[name] if spread else None
        )
        for number, (name, positions) in enumerate(parts.items())
    }
    lacking = dict.fromkeys(drawing, min(_LEAST_SAMPLES, max_samples))
    while lacking:
        for name, count in lacking.items():
            drawing[name].draw(count, at_once)
        lacking = _lacking(drawing, relative_error, max_samples, at_once)
    return {name: part.estimate(relative_error) for name, part in drawing.items()}


def with_sum(
    estimates: Mapping[str, Estimate], mean_loss: MeanLoss, relative_error: float
) -> dict[str, Estimate]:
    """The estimates of parts, and before them the sum's, ``"all"``, where that is not the part."""
    if ALL in estimates:
        return dict(estimates)
    norm = mean_loss.norm(everything(mean_loss.params))
    return {ALL: added(estimates.values(), relative_error, norm), **estimates}


def _lacking(
    drawing: Mapping[str, _Part], relative_error: float, max_samples: int, at_once: int
) -> dict[str, int]:
    """How many more samples each part should have, of those that should have more."""
    found = {}
    for name, part in drawing.items():
        if not part.is_reached(relative_error):
            target = relative_error * abs(part.mean)
            ratio = part.standard_error / target if target else math.inf
            needed = part.drawn * (ratio**2 - 1)
            found[name] = _within(needed, at_once, part.drawn, max_samples)
    if not any(found.values()) and not _sum_is_reached(drawing, relative_error):
        worst = max(drawing, key=lambda name: _share(drawing[name], max_samples))
        if _share(drawing[worst], max_samples) > 0:
            drawn = drawing[worst].drawn
            found[worst] = _within(drawn / 2, at_once, drawn, max_samples)
    return {name: count for name, count in found.items() if count}


def _share(part: _Part, max_samples: int) -> float:
    """What a part adds to the error of the sum, if more samples may lessen that."""
    return part.standard_error if part.drawn < max_samples else 0.0


def _within(needed: float, at_once: int, drawn: int, max_samples: int) -> int:
    """At least as many as go at once, and at most a doubling: the error is an estimate too."""
    count = min(max(needed, at_once), max(drawn, at_once))
    return min(math.ceil(count), max_samples - drawn)


def _sum_is_reached(drawing: Mapping[str, _Part], relative_error: float) -> bool:
    mean = math.fsum(part.mean for part in drawing.values())
    error = math.sqrt(math.fsum(part.standard_error**2 for part in drawing.values()))
    return is_reached(mean, error, relative_error)
