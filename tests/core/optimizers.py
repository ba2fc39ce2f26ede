"""Optax's own optimizers under the strict dtype promotion of ``conftest.py``."""

from typing import Any

import jax
import optax


def lenient(optimizer: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """Lets ``optimizer`` promote implicitly, as optax's Adam and schedules must, and it alone."""
    inner = optax.with_extra_args_support(optimizer)

    def init_fn(params: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return inner.init(params)

    def update_fn(updates: Any, state: Any, params: Any = None, **extra_args: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return inner.update(updates, state, params, **extra_args)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)
