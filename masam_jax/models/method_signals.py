"""Signals of a batch that methods of the zoo read beside those of the gradients."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from masam_jax.core.late_fusion import Features
from masam_jax.core.losses import cross_entropy, mean_loss
from masam_jax.core.specs import unknown
from masam_jax.models.contributions import (
    blank_features,
    check_subsets,
    masked_logits,
    modal_responses,
    widen,
)
from masam_jax.models.network import LateFusionNetwork
from masam_jax.models.pure_module import ParamDict
from masam_jax.models.shapley import shapley_values

Signal = dict[str, jax.Array]


def batch_signals(
    names: Collection[str],
    network: LateFusionNetwork,
    params: ParamDict,
    features: Features,
    inputs: Features,
    labels: jax.Array,
) -> dict[str, Signal]:
    """The named signals of a batch, ``{name: {m: …}}``, for ``tx.update(…, **signals)``.

    ======================  =====================================================================
    ``"confidence"``        ``Σ_i softmax(z_m)_i[y_i]``, z_m the modality's part of the fusion
                            logits (`modality_logits`); of K labels, the
                            mean probability of the true values, ours
    ``"response_losses"``   ``mean_i CE(φ_m,i, y_i)``, φ_m the modal response
                            (`modal_responses`)
    ``"shapley_values"``    Shapley value of m in the game ``v(S) = -mean_i CE``, or of minus the
                            error of a regression, the fusion logits
                            taken with the modalities outside S masked (all of them for ∅)
    ``"mean_features"``     ``mean_i f_m,i``, ``[H_m]``
    ======================  =====================================================================

    Scalars but for the last; in float32 or wider. Nothing is differentiated: the gradient of every
    signal is zero. A masked modality has the features of an input of zeros.

    Args:
      names: of `SIGNALS`; nothing else is computed.
      network: the network.
      params: its parameters.
      features: ``{m: [B, H_m]}`` of all modalities, as the forward pass encoded them; of some alone
        for ``"confidence"`` and ``"mean_features"``, whose signals are then of these.
      inputs: ``{m: [B, …]}``; only their shapes and dtypes are read.
      labels: integer classes ``[B]``, or zeros and ones ``[B, K]``.

    Raises:
      ValueError: an unknown name (the message names the nearest), or more than 10 modalities for
        ``"response_losses"`` or ``"shapley_values"``.

    References:
      Peng et al., OGM-GE, CVPR 2022, equation 8 (confidence); Li et al., AGM, ICCV 2023
      (response losses); M-SAM, arXiv 2510.24919 (Shapley values of the loss); Zhang et al., MLA,
      CVPR 2024 (mean features).
    """
    for name in names:
        if name not in _SIGNALS:
            raise ValueError(unknown("signal", name, SIGNALS))
    batch = _Batch(network, *jax.lax.stop_gradient((params, dict(features))), dict(inputs), labels)
    return {name: _SIGNALS[name](batch) for name in names}


class _Batch(NamedTuple):
    network: LateFusionNetwork
    params: ParamDict
    features: Features
    inputs: Features
    labels: jax.Array

    @property
    def blank(self) -> Features:
        return blank_features(self.network, self.params, self.inputs)


def _confidence(batch: _Batch) -> Signal:
    logits = batch.network.modality_logits(batch.params, batch.features)
    return {m: _probability_of_truth(widen(z), batch.labels) for m, z in logits.items()}


def _probability_of_truth(logits: jax.Array, labels: jax.Array) -> jax.Array:
    if labels.ndim == logits.ndim:
        ones = jax.nn.sigmoid(logits)
        return jnp.where(labels > 0, ones, 1 - ones).mean(axis=-1).sum()
    return jnp.take_along_axis(jax.nn.softmax(logits), labels[:, None], axis=-1).sum()


def _response_losses(batch: _Batch) -> Signal:
    responses = modal_responses(batch.network, batch.params, batch.features, batch.blank)
    return {m: cross_entropy(response, batch.labels) for m, response in responses.items()}


def _shapley_values(batch: _Batch) -> Signal:
    check_subsets(batch.network)
    blank = batch.blank

    def value(subset: frozenset[str]) -> jax.Array:
        logits = masked_logits(batch.network, batch.params, batch.features, subset, blank)
        return -mean_loss(batch.network.sample_loss, logits, batch.labels)

    return shapley_values(value, batch.network.modalities)


def _mean_features(batch: _Batch) -> Signal:
    return {m: widen(f).mean(axis=0) for m, f in sorted(batch.features.items())}


_SIGNALS: dict[str, Callable[[_Batch], Any]] = {
    "confidence": _confidence,
    "response_losses": _response_losses,
    "shapley_values": _shapley_values,
    "mean_features": _mean_features,
}

SIGNALS = tuple(_SIGNALS)
"""Names of the signals that `batch_signals` computes."""

CLASS_SIGNALS = ("confidence", "response_losses")
"""Those that are of class probabilities, which estimates of a regression do not have."""
