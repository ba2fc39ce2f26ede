"""Losses of the fusion head's parts: every modality's own share of the fusion logits."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from masam_jax.core.late_fusion import Features
from masam_jax.core.losses import mean_loss
from masam_jax.methods.objective import Network, Objective, Outcome, Present


@dataclasses.dataclass(frozen=True)
class HeadPartsObjective(Objective):
    r"""The usual objective, with a loss of each modality's part of the fusion logits in ``fusion``.

    With the parts $z_m$ of the fusion logits that `LateFusionNetwork.modality_logits` gives, for a
    concatenation $z_m = W_m f_m + b / M$,

    $$
    L = L_{fuse} + w \sum_m \mathrm{mean}_i\, \mathrm{CE}(z_{m,i}, y_i)
    $$

    Each is the mean over the samples that have the modality. L is the `Outcome.fusion`, so that the
    fusion gradient, of the encoders and of the head, has all terms: the loss that the authors'
    release of InfoReg trains, with w = 1.

    Attributes:
      parts_weight: w.
    """

    parts_weight: float = 1.0

    def losses(
        self,
        network: Network,
        params: optax.Params,
        features: Features,
        labels: jax.Array,
        state: Any,
        *,
        present: Present = None,
        weights: jax.Array | None = None,
    ) -> Outcome:
        """The losses of a batch, those of the parts within ``fusion``; see `Objective.losses`."""
        plain = super().losses(
            network, params, features, labels, state, present=present, weights=weights
        )
        fusion = jnp.asarray(plain.fusion)
        for m, logits in sorted(network.modality_logits(params, features).items()):
            where = None if present is None else present[m]
            part = mean_loss(network.sample_loss, logits, labels, where, weights)
            fusion = fusion + self.parts_weight * part
        return plain._replace(fusion=fusion)
