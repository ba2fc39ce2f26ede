"""The dtype of a perturbed point whose parameters have fewer than 32 bits."""

import typing
from collections.abc import Callable
from typing import Any, Literal

import jax

from masam_jax.core.specs import check_choice

PointDtype = Literal["auto", "float32", "parameters"]


def check_point_dtype(value: Any) -> None:
    """Raises ``ValueError`` unless ``value`` is a `PointDtype`."""
    check_choice("perturbed_dtype", value, typing.get_args(PointDtype))


def widens(point_dtype: PointDtype, gradient: Callable[[], Any]) -> bool:
    """Whether such a point is float32, which does not round a small perturbation away.

    Args:
      point_dtype: "float32", "parameters" (their own), or "auto": float32 where the gradient can be
        traced so.
      gradient: the gradient at the float32 point; it is traced at most.
    """
    if point_dtype != "auto":
        return point_dtype == "float32"
    try:
        jax.eval_shape(gradient)
    except Exception:  # of whatever kind: a loss that takes no other dtype, or checks for it
        return False
    return True
