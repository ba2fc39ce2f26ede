"""A made-up task of the shape of MIMIC-IV with chest X-rays: time series, images, conditions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

CONDITIONS = 4
VARIABLES = 6
HOURS = 12
IMAGE_SIZE = 16

# Either modality alone leaves conditions in doubt.
_EHR_SIGNAL = 1.0
_IMAGE_SIGNAL = 0.15


class Patients(NamedTuple):
    """Patients, or a batch of them.

    Attributes:
      ehr: float32 ``[N, HOURS, VARIABLES]``, a time series each, zero after its end.
      length: int32 ``[N]``, the hours observed, at least one.
      image: float32 ``[N, IMAGE_SIZE, IMAGE_SIZE, 1]``, zero where there is none.
      has_image: bool ``[N]``.
      targets: float32 ``[N, CONDITIONS]``, 1 where the patient has the condition; any number may.
    """

    ehr: jax.Array
    length: jax.Array
    image: jax.Array
    has_image: jax.Array
    targets: jax.Array


def make_patients(samples: int, *, missing: float = 0.3, seed: int = 0) -> Patients:
    """Draws patients.

    Each condition makes one variable drift, and one quarter of the image brighter.

    Args:
      samples: the number N of patients.
      missing: the probability that a patient has no image.
      seed: the same numbers give the same patients.

    Raises:
      ValueError: ``samples`` is below 1, or ``missing`` outside [0, 1].
    """
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    if not 0 <= missing <= 1:
        raise ValueError(f"missing must be in [0, 1], got {missing}")
    # NumPy on the host: as operations of JAX each of these would be compiled.
    draw = np.random.default_rng(seed)
    targets = draw.integers(0, 2, (samples, CONDITIONS))
    signs = 2 * targets - 1

    length = draw.integers(HOURS // 2, HOURS + 1, samples)
    ehr = draw.normal(size=(samples, HOURS, VARIABLES))
    ehr[..., :CONDITIONS] += _EHR_SIGNAL * np.linspace(0, 1, HOURS)[:, None] * signs[:, None]
    ehr[np.arange(HOURS) >= length[:, None]] = 0

    half = IMAGE_SIZE // 2
    quarters = signs.reshape(samples, 2, 2).repeat(half, axis=1).repeat(half, axis=2)
    image = draw.normal(size=(samples, IMAGE_SIZE, IMAGE_SIZE)) + _IMAGE_SIGNAL * quarters
    has_image = draw.random(samples) >= missing
    image[~has_image] = 0
    return Patients(
        ehr=jnp.asarray(ehr, jnp.float32),
        length=jnp.asarray(length, jnp.int32),
        image=jnp.asarray(image[..., None], jnp.float32),
        has_image=jnp.asarray(has_image),
        targets=jnp.asarray(targets, jnp.float32),
    )
