"""MDPS, the modality-decoupled perturbation, and the ways to take the gradient behind it."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.numerics import all_finite
from masam_jax.core.partition import Partition
from masam_jax.core.signals import FusionGradient

CLEAN = -1
"""The index that stands for no modality: the step is a clean one."""


def perturb(
    params: optax.Params,
    fusion_grads: chex.ArrayTree,
    partition: Partition,
    scales: Mapping[str, jax.Array],
) -> Any:
    """``θ_m + scales[m] ∇_{θ_m} L_fuse`` for the modalities in ``scales``, all else as it was.

    Args:
      params: the parameters.
      fusion_grads: the fusion gradient, a tree like them.
      partition: whose leaf is whose.
      scales: ``ρ γ_m / ‖∇_{θ_m} L_fuse‖₂``, scalars.
    """
    leaves, structure = jax.tree.flatten(params)
    gradients = jax.tree.leaves(fusion_grads)
    moved = list(leaves)
    for m, scale in scales.items():
        for i in partition.positions(m):
            step = scale * gradients[i].astype(scale.dtype)
            # 0 * inf: a modality whose gradient is not finite has scale 0, and stays.
            step = jnp.where(scale == 0, jnp.zeros_like(step), step)
            moved[i] = (leaves[i].astype(scale.dtype) + step).astype(leaves[i].dtype)
    return jax.tree.unflatten(structure, moved)


class Correction:
    """``∇L_fuse(θ + ε) − ∇L_fuse(θ)`` on the perturbed partitions, zero elsewhere.

    Its methods are the ways to take it. Each gives a list of leaves, in the order of
    ``jax.tree.leaves``, with None where the correction is zero for certain. A modality whose scale
    is 0, or whose gradient at the perturbed point is not finite, has a zero correction.
    """

    def __init__(
        self,
        params: optax.Params,
        fusion_grads: chex.ArrayTree,
        fusion_grad_fn: Callable[..., Any],
        partition: Partition,
        scales: Mapping[str, jax.Array],
    ) -> None:
        self._params = params
        self._fusion_grads = fusion_grads
        self._partition = partition
        self._scales = dict(scales)
        ours = fusion_grad_fn if isinstance(fusion_grad_fn, FusionGradient) else None
        self._local = ours.local if ours else fusion_grad_fn
        self._average = ours.average if ours else lambda leaves: leaves
        self._reuses_features = ours is not None and ours.features is not None

    def joint(self) -> list[jax.Array | None]:
        """Every modality perturbed at once, one gradient at the joint point."""
        return self._minus_clean(self._average(self._gradient(self._scales, None)), self._scales)

    def single(self, modality: str) -> list[jax.Array | None]:
        """``modality`` alone, known while tracing."""
        scales = {modality: self._scales[modality]}
        return self._minus_clean(self._average(self._gradient(scales, modality)), scales)

    def dense(self, index: jax.Array) -> list[jax.Array | None]:
        """The modality at the traced ``index``, without control flow.

        A `LateFusion` takes each modality's gradient, the others' features being at hand, and
        keeps one; a plain loss takes one gradient, at the point that moves the chosen one alone.
        """
        scales = self._only(index)
        if not self._reuses_features:
            return self._minus_clean(self._average(self._gradient(scales, None)), scales)
        leaves: list[jax.Array | None] = [None] * len(self._partition.leaf_labels)
        for m, scale in scales.items():
            gradient = self._average(self._gradient({m: scale}, m))
            for i, leaf in enumerate(self._minus_clean(gradient, {m: scale})):
                leaves[i] = leaves[i] if leaf is None else leaf
        return leaves

    def switch(self, index: jax.Array) -> list[jax.Array | None]:
        """The modality at the traced ``index`` through ``lax.switch``: its branch alone runs."""

        def branch(m: str) -> list[jax.Array]:
            gradient = self._gradient({m: self._scales[m]}, m)
            mine = self._partition.positions(m)
            return [g if i in mine else jnp.zeros_like(g) for i, g in enumerate(gradient)]

        branches = [functools.partial(branch, m) for m in self._partition.modalities]
        # The mean over devices is taken here: a collective inside a branch could wait for ever.
        gradient = self._average(jax.lax.switch(jnp.maximum(index, 0), branches))
        return self._minus_clean(gradient, self._only(index))

    def _only(self, index: jax.Array) -> dict[str, jax.Array]:
        return {
            m: jnp.where(index == i, self._scales[m], jnp.zeros_like(self._scales[m]))
            for i, m in enumerate(self._partition.modalities)
        }

    def _gradient(self, scales: Mapping[str, jax.Array], modality: str | None) -> list[jax.Array]:
        moved = perturb(self._params, self._fusion_grads, self._partition, scales)
        return jax.tree.leaves(self._local(moved, modality))

    def _minus_clean(
        self, gradient: list[jax.Array], scales: Mapping[str, jax.Array]
    ) -> list[jax.Array | None]:
        clean = jax.tree.leaves(self._fusion_grads)
        leaves: list[jax.Array | None] = [None] * len(clean)
        for m, scale in scales.items():
            mine = self._partition.positions(m)
            keep = (scale != 0) & all_finite(gradient[i] for i in mine)
            for i in mine:
                difference = gradient[i].astype(clean[i].dtype) - clean[i]
                leaves[i] = jnp.where(keep, difference, jnp.zeros_like(difference))
        return leaves
