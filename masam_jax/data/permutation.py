"""Permutations that are a function of integers alone, and stay so."""

from __future__ import annotations

import numpy as np


def seeded_permutation(size: int, seed: int, *key: int) -> np.ndarray:
    """A uniformly random permutation of ``range(size)``, int32 ``[size]``.

    It ranks ``size`` raw 64-bit words of ``PCG64(SeedSequence(seed, spawn_key=key))``. NumPy keeps
    those two streams the same in every release, which it does not promise for
    ``Generator.permutation`` or ``shuffle`` (NEP 19), so a split or an order of training written
    down today can be drawn again later.

    Args:
      size: number of items.
      seed: integer >= 0.
      *key: integers >= 0 that tell apart the uses of one seed; different keys give independent
        permutations, also across neighbouring seeds.
    """
    words = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)).random_raw(size)
    return np.argsort(words, kind="stable").astype(np.int32)
