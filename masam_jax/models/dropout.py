"""Dropout that holds no state where it does nothing."""

from __future__ import annotations

from flax import nnx

from masam_jax.core.specs import check_number


def make_dropout(rate: float, *, rngs: nnx.Rngs) -> nnx.Dropout:
    """Dropout of a rate in [0, 1); at 0 it holds no random stream, so that it is stateless.

    Raises:
      ValueError: the rate is out of range.
    """
    check_number("dropout", rate, "[0, 1)")
    return nnx.Dropout(rate, rngs=rngs if rate else None)
