"""Losses of regression: by how much outputs miss their targets."""

from typing import Literal, get_args

import jax
import jax.numpy as jnp

from masam_jax.core.losses import SampleLoss
from masam_jax.core.specs import check_choice

TargetError = Literal["squared", "absolute"]


def target_loss(error: TargetError) -> SampleLoss:
    """Each sample's loss ``[B]`` of outputs ``[B, K]`` for targets ``[B, K]``.

    Args:
      error: ``squared``, ``mean_k (o_k - t_k)^2``, or ``absolute``, ``mean_k |o_k - t_k|``; in
        float32 or wider.

    Raises:
      ValueError: another one.

    Examples:
      >>> outputs, targets = jnp.asarray([[3.0, 1.0]]), jnp.asarray([[1.0, 1.0]])
      >>> target_loss("squared")(outputs, targets).item()
      2.0
      >>> target_loss("absolute")(outputs, targets).item()
      1.0
    """
    check_choice("regression_loss", error, get_args(TargetError))
    return _squared if error == "squared" else _absolute


def _squared(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    return jnp.square(_missed_by(outputs, targets)).mean(axis=-1)


def _absolute(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    return jnp.abs(_missed_by(outputs, targets)).mean(axis=-1)


def _missed_by(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    # bfloat16 outputs would round the loss that MASAM's scores compare between steps.
    if jnp.finfo(outputs.dtype).bits < 32:
        outputs = outputs.astype(jnp.float32)
    return outputs - targets.astype(outputs.dtype)
