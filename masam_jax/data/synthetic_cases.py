r"""Constructed cases of multimodal learning: what the modalities hold is known, exactly.

* ``competition``, of 4 classes: ``slow`` holds the class cleanly, along directions of a
  twenty-fifth of its spread; ``fast`` holds the same class again, imperfectly, beside noise of 64
  dimensions by which a hundred samples can be told apart. A joint network fits the training samples
  by ``fast`` before ``slow`` is learned, and ends below ``slow`` trained alone.
* ``xor``, of 2 classes: ``m0`` and ``m1`` hold one bit each, and the class is whether they differ.
  A modality alone says nothing, and so does a sum of what both say: a head that adds logits
  (``concat``, ``sum``) cannot learn it, one that multiplies (``film``, ``gated``) can.
* ``pad``, of 2 classes: ``m0`` is noise, and ``m1`` the class with that noise taken off, as with a
  one-time pad. Alone they say nothing (``m1`` next to nothing), and their sum is the class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_SLOW_SIZE, _SLOW_SCALE, _SLOW_NOISE = 2, 0.04, 0.15
_FAST_SIZE, _FAST_SCALE = 64, 3.0
_BIT_SIZE, _BIT_NOISE = 4, 0.1
_PAD_SCALE = 0.15


class SyntheticCase(NamedTuple):
    """A constructed case.

    Attributes:
      num_classes: the number of classes C.
      modalities: their names, sorted.
      draw: ``(rng, labels [N]) -> {m: float64 [N, D]}``.
    """

    num_classes: int
    modalities: tuple[str, ...]
    draw: Callable[[np.random.Generator, np.ndarray], dict[str, np.ndarray]]


def _competition(rng: np.random.Generator, labels: np.ndarray) -> dict[str, np.ndarray]:
    prototypes = _prototypes(4)[labels]
    fast = _FAST_SCALE * prototypes + rng.standard_normal(prototypes.shape)
    slow = _SLOW_SCALE * (2 * prototypes + _SLOW_NOISE * rng.standard_normal(prototypes.shape))
    return {"fast": _hidden(rng, fast, _FAST_SIZE), "slow": _hidden(rng, slow, _SLOW_SIZE)}


def _xor(rng: np.random.Generator, labels: np.ndarray) -> dict[str, np.ndarray]:
    bits = rng.integers(0, 2, len(labels))
    return {"m0": _repeated(rng, bits), "m1": _repeated(rng, bits ^ labels)}


def _pad(rng: np.random.Generator, labels: np.ndarray) -> dict[str, np.ndarray]:
    noise = rng.standard_normal((len(labels), 2))
    return {"m0": noise, "m1": _PAD_SCALE * _prototypes(2)[labels] - noise}


def _prototypes(num_classes: int) -> np.ndarray:
    """One row for each class, all equally far from each other; they add up to nothing."""
    return np.eye(num_classes) - 1 / num_classes


def _hidden(rng: np.random.Generator, signal: np.ndarray, size: int) -> np.ndarray:
    """The signal beside ``size`` dimensions of noise, rotated."""
    both = np.concatenate([rng.standard_normal((len(signal), size)), signal], axis=1)
    rotation, _ = np.linalg.qr(rng.standard_normal((both.shape[1], both.shape[1])))
    return both @ rotation.T


def _repeated(rng: np.random.Generator, bits: np.ndarray) -> np.ndarray:
    """The bits as -1 and 1 in every dimension, with a little noise."""
    signs = 2.0 * bits[:, None] - 1
    return signs + _BIT_NOISE * rng.standard_normal((len(bits), _BIT_SIZE))


CASES = {
    "competition": SyntheticCase(4, ("fast", "slow"), _competition),
    "xor": SyntheticCase(2, ("m0", "m1"), _xor),
    "pad": SyntheticCase(2, ("m0", "m1"), _pad),
}
"""By the name that ``synthetic:case=NAME`` has."""
