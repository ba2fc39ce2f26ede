"""What a network has to bring along to train with MASAM."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.integrations.patients import Patients
from masam_jax import LateFusion


class Integration(NamedTuple):
    """A network, taken apart.

    Attributes:
      params: everything that is trained, and nothing else: any pytree.
      statistics: what a step updates without a gradient (batch norm): any pytree.
      labels: the modality of each parameter, for ``masam``.
      loss: of ``(params, patients, key, statistics)``; ``aux`` is the new statistics.
      loss_weights: the weight of each unimodal loss in the total.
      predict: from ``(params, statistics, patients)`` to the fusion logits ``[B, C]``.
    """

    params: Any
    statistics: Any
    labels: Any
    loss: LateFusion
    loss_weights: dict[str, float]
    predict: Callable[[Any, Any, Patients], jax.Array]


def kept_without_images(new: Any, old: Any, patients: Patients) -> Any:
    """``new`` statistics of images, or the ``old`` ones where the batch has no image."""
    return jax.tree.map(lambda n, o: jnp.where(patients.has_image.any(), n, o), new, old)
