"""A made-up task of the shape of MIMIC-IV with chest X-rays: time series, images, conditions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

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
    keys = jax.random.split(jax.random.key(seed), 5)
    targets = jax.random.bernoulli(keys[0], 0.5, (samples, CONDITIONS)).astype(jnp.float32)
    signs = 2 * targets - 1

    length = jax.random.randint(keys[1], (samples,), HOURS // 2, HOURS + 1, jnp.int32)
    drift = jnp.linspace(0, 1, HOURS, dtype=jnp.float32)[:, None] * signs[:, None, :]
    drift = jnp.pad(drift, ((0, 0), (0, 0), (0, VARIABLES - CONDITIONS)))
    ehr = _EHR_SIGNAL * drift + jax.random.normal(keys[2], (samples, HOURS, VARIABLES))
    observed = jnp.arange(HOURS, dtype=jnp.int32) < length[:, None]

    half = IMAGE_SIZE // 2
    quarters = signs.reshape(samples, 2, 2).repeat(half, axis=1).repeat(half, axis=2)
    noise = jax.random.normal(keys[3], (samples, IMAGE_SIZE, IMAGE_SIZE))
    has_image = jax.random.bernoulli(keys[4], 1 - missing, (samples,))
    image = jnp.where(has_image[:, None, None], _IMAGE_SIGNAL * quarters + noise, 0)
    return Patients(
        ehr=jnp.where(observed[..., None], ehr, 0),
        length=length,
        image=image[..., None],
        has_image=has_image,
        targets=targets,
    )
