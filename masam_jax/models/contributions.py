"""What modalities contribute to a prediction: fusion logits with some of them masked."""

from __future__ import annotations

from collections.abc import Collection

import jax
import jax.numpy as jnp

from masam_jax.core.late_fusion import Features
from masam_jax.core.numerics import accumulation_dtype
from masam_jax.models.network import LateFusionNetwork
from masam_jax.models.pure_module import ParamDict
from masam_jax.models.shapley import shapley_values

# The fusion head runs once for each of the 2^M subsets.
_MOST_MODALITIES = 10


def blank_features(network: LateFusionNetwork, params: ParamDict, inputs: Features) -> Features:
    """Features ``{m: [1, H_m]}`` of an input of zeros, which stand in for a masked modality.

    Args:
      network: the network.
      params: its parameters; only the encoders are read.
      inputs: ``{m: [B, …]}``, or trees of such; only their shapes and dtypes are read.
    """

    def zeros(array: jax.Array) -> jax.Array:
        return jnp.zeros((1, *array.shape[1:]), array.dtype)

    return {
        m: network.encode(params, m, jax.tree.map(zeros, inputs[m])) for m in network.modalities
    }


def masked_logits(
    network: LateFusionNetwork,
    params: ParamDict,
    features: Features,
    subset: Collection[str],
    blank: Features,
) -> jax.Array:
    """Fusion logits ``[B, C]`` in which the modalities outside ``subset`` are masked.

    Args:
      network: the network.
      params: its parameters; only the fusion head is read.
      features: ``{m: [B, H_m]}`` of all modalities.
      subset: names of the modalities that keep their features; none, some or all.
      blank: ``{m: [1, H_m]}`` in the place of the features of all others; see `blank_features`.

    Raises:
      ValueError: ``subset`` names something else.
    """
    unknown = sorted(set(subset) - set(network.modalities))
    if unknown:
        raise ValueError(
            f"subset names {unknown}, which are none of the modalities {list(network.modalities)}"
        )
    mixed = {
        m: f if m in subset else jax.tree.map(_spread, blank[m], f) for m, f in features.items()
    }
    return network.fuse(params, mixed)


def modal_responses(
    network: LateFusionNetwork, params: ParamDict, features: Features, blank: Features
) -> dict[str, jax.Array]:
    r"""Shapley-style response ``{m: φ_m [B, C]}`` of the network to each modality.

    The Shapley values of the game in which a subset of modalities is worth the fusion logits
    without the others, and the empty one nothing:

    $$
    v(S) = f(x_S, 0_{N \setminus S}), \quad v(\emptyset) = 0, \qquad
    \varphi_a = \tfrac12 \bigl(f(a, v) - f(0, v) + f(a, 0)\bigr) \text{ for two}
    $$

    They add up to the fusion logits. In float32 or wider.

    Args:
      network: the network; its fusion head runs ``2^M - 1`` times.
      params: its parameters; only the fusion head is read.
      features: ``{m: [B, H_m]}`` of all modalities.
      blank: ``{m: [1, H_m]}`` in the place of a masked modality's; see `blank_features`.

    Raises:
      ValueError: more than 10 modalities.

    References:
      Hong Li, Xingyu Li, Pengbo Hu, Yinuo Lei, Chunxiao Li, Yi Zhou. Boosting Multi-modal Model
      Performance with Adaptive Gradient Modulation. ICCV 2023 (mono-modal responses by Shapley
      values). https://arxiv.org/abs/2308.07686
    """
    check_subsets(network)

    def value(subset: frozenset[str]) -> jax.Array:
        if not subset:
            return jnp.zeros_like(value(frozenset(network.modalities)))
        return widen(masked_logits(network, params, features, subset, blank))

    return shapley_values(value, network.modalities)


def _spread(blank: jax.Array, like: jax.Array) -> jax.Array:
    return jnp.broadcast_to(blank, like.shape).astype(like.dtype)


def widen(logits: jax.Array) -> jax.Array:
    """Logits in float32 or wider."""
    return logits.astype(accumulation_dtype(logits))


def check_subsets(network: LateFusionNetwork) -> None:
    """Raises ``ValueError`` where the subsets of the modalities are too many."""
    count = len(network.modalities)
    if count > _MOST_MODALITIES:
        raise ValueError(
            f"Shapley values of {count} modalities would run the fusion head {2**count} times; "
            f"at most {_MOST_MODALITIES} modalities are accepted."
        )
