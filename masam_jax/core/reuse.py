"""The correction of one step, used again by those that follow: LookSAM, modality by modality."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.numerics import (
    accumulation_dtype,
    all_finite,
    inner,
    inverse_norm,
    inverse_root,
    norm,
    total,
)
from masam_jax.core.partition import Partition

Reuse = Literal["orthogonal", "whole", "none", "lazy"]


def nothing_to_reuse(params: optax.Params) -> Any:
    """The component before the first step: zeros like the parameters, in float32 or wider."""
    return jax.tree.map(lambda x: jnp.zeros(jnp.shape(x), accumulation_dtype(x)), params)


def keep_component(
    partition: Partition,
    differences: Sequence[jax.Array],
    total_grads: chex.ArrayTree,
    reuse: str,
) -> Any:
    r"""What the steps that follow reuse of a correction c, over the length of the gradient.

    $$
    v_m = \frac{c_m - \langle c_m, \hat g_m \rangle \hat g_m}{\|g_m\|_2}, \quad
    g_m = \nabla_{\theta_m} L_{total}, \quad \hat g_m = g_m / \|g_m\|_2
    $$

    and $c_m / \|g_m\|_2$ with "whole". The leaves of no modality count as one part.

    Args:
      partition: whose leaf is whose.
      differences: ``∇L_fuse(θ + ε) − ∇L_fuse(θ)``, leaf by leaf, zeros where nothing is corrected.
      total_grads: the gradient of the total loss, a tree like the parameters.
      reuse: "orthogonal", the component that the gradient does not have, or "whole".

    Returns:
      A tree like the parameters, in float32 or wider.
    """
    gradients, structure = jax.tree.flatten(total_grads)
    kept = list(differences)
    for mine in _parts(partition):
        along = [gradients[i].astype(kept[i].dtype) for i in mine]
        correction = [kept[i] for i in mine]
        dtype = accumulation_dtype(correction)
        if reuse == "orthogonal":
            products = [inner(c, g, dtype) for c, g in zip(correction, along, strict=True)]
            squares = [inner(g, g, dtype) for g in along]
            share = total(products, dtype) * inverse_root(total(squares, dtype)) ** 2
            correction = [c - share * g for c, g in zip(correction, along, strict=True)]
        scale = inverse_norm(along, dtype)
        for i, c in zip(mine, correction, strict=True):
            kept[i] = scale * c
    return jax.tree.unflatten(structure, kept)


def reuse_component(
    partition: Partition,
    updates: optax.Updates,
    component: Any,
    total_grads: chex.ArrayTree,
    present: Mapping[str, jax.Array],
) -> Any:
    r"""The updates with $u_m \leftarrow u_m + \|\nabla_{\theta_m} L_{total}\|_2 v_m$.

    A part keeps its updates, bit for bit, where v is zero, where the modality is not present, and
    where the result is not finite; the leaves of no modality where every modality does.

    Args:
      partition: whose leaf is whose.
      updates: what is corrected, a tree like the parameters.
      component: v, of `keep_component`.
      total_grads: the gradient of the total loss at this step.
      present: which modalities take part in this step.
    """
    leaves, structure = jax.tree.flatten(updates)
    gradients, components = jax.tree.leaves(total_grads), jax.tree.leaves(component)
    any_reused = jnp.zeros((), bool)
    for m, mine in zip((*partition.modalities, None), _parts(partition), strict=True):
        dtype = accumulation_dtype([components[i] for i in mine])
        length = norm([gradients[i] for i in mine], dtype)
        changed = {}
        for i in mine:
            wide = leaves[i].astype(components[i].dtype) + length * components[i]
            changed[i] = wide.astype(leaves[i].dtype)
        if m is None:
            keep = any_reused
        else:
            keep = present[m] & (norm([components[i] for i in mine], dtype) > 0)
            any_reused |= keep
        keep &= all_finite(changed.values())
        for i, leaf in changed.items():
            # A choice and no sum: adding 0 would lose the sign of -0.0, and subnormals.
            leaves[i] = jnp.where(keep & (components[i] != 0), leaf, leaves[i])
    return jax.tree.unflatten(structure, leaves)


def _parts(partition: Partition) -> list[tuple[int, ...]]:
    """The positions of each modality's leaves, and of those of none."""
    labels = enumerate(partition.leaf_labels)
    rest = tuple(i for i, label in labels if label not in partition.modalities)
    return [*(partition.positions(m) for m in partition.modalities), rest]
