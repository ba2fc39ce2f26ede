"""γ from the gradients at an encoder's features, which need no pullback through the encoder."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from masam_jax.core.numerics import accumulation_dtype, inner, total
from masam_jax.core.scores import Alignment, cosine_of


class FeatureProducts(NamedTuple):
    r"""What γ at the features $z_m$ is made of, scalars in float32 or wider.

    Each is a sum over samples, so that the means over microbatches, and over devices, are those of
    the whole batch up to one factor, which γ does not have.

    Attributes:
      dot: $\langle \nabla_{z_m} L_{fuse}, \nabla_{z_m} L_m \rangle$.
      fusion_square: $\|\nabla_{z_m} L_{fuse}\|^2$.
      unimodal_square: $\|\nabla_{z_m} L_m\|^2$.
    """

    dot: jax.Array
    fusion_square: jax.Array
    unimodal_square: jax.Array


def feature_products(
    fusion: Mapping[str, Any], unimodal: Mapping[str, Any]
) -> dict[str, FeatureProducts]:
    """The products of each modality.

    Args:
      fusion: the fusion loss's gradients at the features, ``{modality: tree of [B, ...]}``.
      unimodal: those of each modality's own loss. Leaves that are no real numbers are left out.
    """
    products = {}
    for m in fusion:
        pairs = zip(jax.tree.leaves(fusion[m]), jax.tree.leaves(unimodal[m]), strict=True)
        real = [(f, u) for f, u in pairs if jnp.issubdtype(f.dtype, jnp.floating)]
        dtype = accumulation_dtype(real)
        products[m] = FeatureProducts(
            total([inner(f, u, dtype) for f, u in real], dtype),
            total([inner(f, f, dtype) for f, _ in real], dtype),
            total([inner(u, u, dtype) for _, u in real], dtype),
        )
    return products


def align_features(
    products: FeatureProducts, inverse_norm: jax.Array, *, clip_negative: bool, dtype: Any
) -> Alignment:
    """``γ_m = cos(∇_{z_m} L_fuse, ∇_{z_m} L_m)``, over the features of the batch as one vector.

    Args:
      products: those of the modality.
      inverse_norm: ``1 / ‖∇_{θ_m} L_fuse‖₂``, handed on.
      clip_negative: whether a negative cosine counts as 0.
      dtype: γ's.
    """
    cosine = cosine_of(*(each.astype(dtype) for each in products))
    cosine = jnp.clip(cosine, 0 if clip_negative else -1, 1)
    return Alignment(cosine, inverse_norm, products.unimodal_square == 0)
