"""Random numbers on the host that are a function of integers alone, and stay so."""

from __future__ import annotations

import math

import numpy as np


class Draws:
    """Numbers drawn one after the other from raw words of ``PCG64(SeedSequence(seed, key))``.

    NumPy keeps those words the same in every release (NEP 19), which it does not promise for the
    distributions of ``Generator``.

    Args:
      seed: integer >= 0.
      *key: integers >= 0 that tell apart the uses of one seed.

    Examples:
      >>> Draws(0, 1).integer(6) == Draws(0, 1).integer(6)
      True
    """

    def __init__(self, seed: int, *key: int):
        self._stream = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number in ``[low, high)``."""
        # The upper 53 bits: what a double holds.
        return low + (high - low) * ((int(self._stream.random_raw()) >> 11) * 2.0**-53)

    def log_uniform(self, low: float, high: float) -> float:
        """A positive number whose logarithm is uniform in ``[log(low), log(high))``."""
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def integer(self, size: int) -> int:
        """An integer in ``[0, size)``."""
        return min(int(self.uniform() * size), size - 1)

    def coin(self) -> bool:
        """True or False, with the same chance."""
        return self.uniform() < 0.5
