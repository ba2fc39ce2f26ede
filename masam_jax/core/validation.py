"""Checks of hyperparameters at the door; a value that is traced is taken on trust."""

from typing import Any

import jax
import numpy as np


def check_radius(rho: Any) -> None:
    """Raises ``ValueError`` unless ``rho`` is a schedule or a finite number of at least 0."""
    if not callable(rho):
        _check_number("rho", rho, "a schedule or a finite number of at least 0", float("inf"))


def check_fraction(name: str, value: Any) -> None:
    """Raises ``ValueError`` unless ``value`` is a number in [0, 1]."""
    _check_number(name, value, "a number in [0, 1]", 1.0)


def check_choice(name: str, value: Any, accepted: tuple[str, ...]) -> None:
    """Raises ``ValueError`` unless ``value`` is one of ``accepted``."""
    if value not in accepted:
        raise ValueError(f"{name} must be one of {list(accepted)}, got {value!r}")


def check_flag(name: str, value: Any) -> None:
    """Raises ``ValueError`` unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, got {value!r}")


def is_traced(*trees: Any) -> bool:
    """Whether any leaf is a tracer: whether the caller is inside a JAX transformation."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))


def _check_number(name: str, value: Any, accepted: str, most: float) -> None:
    if isinstance(value, jax.core.Tracer):
        return
    is_number = isinstance(value, int | float | np.number | np.ndarray | jax.Array)
    if isinstance(value, bool) or not is_number or np.ndim(value):
        raise ValueError(f"{name} must be {accepted}, got {value!r}")
    number = float(value)
    if not 0 <= number <= most or number == float("inf"):
        raise ValueError(f"{name} must be {accepted}, got {value!r}")
