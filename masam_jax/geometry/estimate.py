"""A number that was estimated from random samples, with its error and what it must be read with."""

import dataclasses
import math
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over random samples.

    Attributes:
      mean: the estimate.
      standard_error: its standard error; 0 where the number is exact.
      samples: how many were drawn.
      reached: whether the standard error is as small as was asked for.
      loss: the loss at the parameters.
      norm: ``‖θ‖₂`` of the parameters that the number is of.

    Examples:
      >>> print(Estimate(mean=12.5, standard_error=0.5, samples=64, reached=True, loss=1, norm=3))
      12.5 ± 0.5 (loss 1, norm 3)
    """

    mean: float
    standard_error: float
    samples: int
    reached: bool
    loss: float
    norm: float

    def __str__(self) -> str:
        error = f"{self.standard_error:.2g}{'' if self.reached else ', more than asked for'}"
        return f"{self.mean:.4g} ± {error} (loss {self.loss:.4g}, norm {self.norm:.4g})"

    def scaled(self, factor: float) -> "Estimate":
        """The same of ``factor`` ≥ 0 times the number."""
        return dataclasses.replace(
            self, mean=factor * self.mean, standard_error=factor * self.standard_error
        )


def added(estimates: Iterable[Estimate], relative_error: float, norm: float) -> Estimate:
    """Of the sum of numbers that were estimated independently of each other."""
    each = list(estimates)
    mean = math.fsum(estimate.mean for estimate in each)
    error = math.sqrt(math.fsum(estimate.standard_error**2 for estimate in each))
    return Estimate(
        mean=mean,
        standard_error=error,
        samples=sum(estimate.samples for estimate in each),
        reached=is_reached(mean, error, relative_error),
        loss=each[0].loss,
        norm=norm,
    )


def is_reached(mean: float, standard_error: float, relative_error: float) -> bool:
    """Whether a standard error is small enough beside its mean."""
    return standard_error <= relative_error * abs(mean)
