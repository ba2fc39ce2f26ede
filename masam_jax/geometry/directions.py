"""Random directions in the space of parameters, normalised filter by filter (Li et al. 2018)."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.numerics import accumulation_dtype, inverse_root
from masam_jax.core.partition import Labels, resolve_partition
from masam_jax.core.random_keys import typed_key


def random_direction(
    params: optax.Params,
    key: chex.PRNGKey,
    *,
    labels: Labels | None = None,
    modality: str | None = None,
) -> optax.Params:
    r"""A Gaussian direction, filter-normalised.

    $$
    d_{i,j} \leftarrow \frac{d_{i,j}}{\lVert d_{i,j} \rVert} \lVert \theta_{i,j} \rVert
    $$

    for filter j of the kernel of layer i. A filter is what makes one output: all of a kernel but
    its last axis, of dense ``[in, out]`` and convolution ``[..., in, out]`` as Flax has them.
    Parameters of fewer than two axes (biases, scales and shifts of normalisations) have no
    filters; the direction is zero there, as in the authors' release with ``ignore="biasbn"``.

    Args:
      params: θ.
      key: what the direction is drawn from; a direction of one encoder is the joint one's part.
      labels: whose the parameters are, as ``masam`` takes them; needed with ``modality``.
      modality: zero for all parameters with another label; None for none.

    Returns:
      A tree like ``params``.

    Raises:
      ValueError: a modality without labels, or one that is not among them.

    References:
      Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018.
    """
    chosen = chosen_leaves(params, labels, modality)
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(typed_key(key), max(len(leaves), 1))
    drawn = [
        _of_filters(leaf, own) if taken and jnp.ndim(leaf) > 1 else jnp.zeros_like(leaf)
        for leaf, own, taken in zip(leaves, keys, chosen, strict=False)
    ]
    return jax.tree.unflatten(structure, drawn)


def chosen_leaves(
    params: optax.Params, labels: Labels | None, modality: str | None
) -> tuple[bool, ...]:
    """Which leaves have a modality for their label; all of them where it is None.

    Args:
      params: parameters.
      labels: as ``masam`` takes them; None for none.
      modality: a label, ``"other"`` included.

    Raises:
      ValueError: a modality without labels, or one that no parameter has.
    """
    if modality is None:
        return (True,) * len(jax.tree.leaves(params))
    if labels is None:
        raise ValueError(f"modality={modality!r} needs labels, which say whose a parameter is")
    found = resolve_partition(labels, params).leaf_labels
    if modality not in found:
        raise ValueError(f"modality={modality!r} is no label; found {sorted(set(found))}")
    return tuple(label == modality for label in found)


def _of_filters(leaf: jax.Array, key: jax.Array) -> jax.Array:
    leaf = jnp.asarray(leaf)
    dtype = accumulation_dtype(leaf)
    drawn = jax.random.normal(key, leaf.shape, dtype)
    filters = tuple(range(leaf.ndim - 1))

    def squares(values: jax.Array) -> jax.Array:
        return jnp.sum(jnp.square(values), axis=filters, keepdims=True)

    scale = jnp.sqrt(squares(leaf.astype(dtype))) * inverse_root(squares(drawn))
    return (drawn * scale).astype(leaf.dtype)
