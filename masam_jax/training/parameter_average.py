"""The moving average of parameters over the steps of a run."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Average(NamedTuple):
    """What predicts in place of the parameters after the last step.

    Attributes:
      params: averages of the parameters.
      statistics: averages of the encoders' running statistics, which belong to them.
    """

    params: Any
    statistics: Any


def move_average(average: Average, params: Any, statistics: Any, decay: float) -> Average:
    """The average after a step, ``a + (1 - d) (θ - a)``; what stays where it is has itself.

    It begins as the parameters before the first step, and so does not need a correction of its
    bias.

    Args:
      average: before the step.
      params: after it.
      statistics: after it.
      decay: d.
    """

    def move(old: jax.Array, new: jax.Array) -> jax.Array:
        return old + jnp.asarray(1 - decay, old.dtype) * (new - old)

    return jax.tree.map(move, average, Average(params, statistics))
