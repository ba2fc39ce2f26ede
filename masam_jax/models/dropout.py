"""Dropout that holds no state where it does nothing."""

from __future__ import annotations

from flax import nnx


def make_dropout(rate: float, *, rngs: nnx.Rngs) -> nnx.Dropout:
    """Dropout of a rate in [0, 1); at 0 it holds no random stream, so that it is stateless.

    Raises:
      ValueError: the rate is out of range.
    """
    if not 0 <= rate < 1:
        raise ValueError(f"dropout is {rate}; a rate in [0, 1) is accepted.")
    return nnx.Dropout(rate, rngs=rngs if rate else None)
