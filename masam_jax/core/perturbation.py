"""The correction of MDPS, the modality-decoupled perturbation, and the ways to take it."""

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.collectives import agree
from masam_jax.core.numerics import (
    accumulation_dtype,
    add_difference,
    all_finite,
    difference,
    inverse_norm,
    norm,
)
from masam_jax.core.partition import Partition
from masam_jax.core.perturbed_parameters import narrow_modalities, no_radii, perturb
from masam_jax.core.point_dtype import PointDtype, widens
from masam_jax.core.route import Route
from masam_jax.core.signals import FusionGradient


class Corrected(NamedTuple):
    """What one step hands on.

    Attributes:
      updates: the corrected updates.
      radii: ``‖ε_m‖₂`` as it was reached after rounding, in the shapes of `no_radii`.
      differences: ``∇L_fuse(θ + ε) − ∇L_fuse(θ)`` in float32 or wider, leaf by leaf: zeros where
        nothing was corrected. Empty where nobody asked for them.
    """

    updates: Any
    radii: dict[str, jax.Array]
    differences: list[jax.Array]


class _Leaves(NamedTuple):
    """Updates, and what was added to them, leaf by leaf; nothing of the latter if not asked for."""

    updates: list[jax.Array]
    differences: list[jax.Array]


class Correction:
    """Adds ``∇L_fuse(θ + ε) − ∇L_fuse(θ)`` on the perturbed partitions, and nothing elsewhere.

    `take` goes one of several ways, which give the same numbers. A partition keeps its updates, bit
    for bit, where its scale is 0, and where the corrected ones are not finite.
    """

    def __init__(
        self,
        partition: Partition,
        params: optax.Params,
        updates: optax.Updates,
        fusion_grads: chex.ArrayTree,
        fusion_grad_fn: Callable[..., Any],
        scales: Mapping[str, jax.Array],
        *,
        directions: chex.ArrayTree | None = None,
        correct_other: bool = False,
        point_dtype: PointDtype = "auto",
        keeps_differences: bool = False,
        times: int = 1,
        radii: Mapping[str, jax.Array] | None = None,
    ) -> None:
        """Of one step.

        Args:
          partition: whose leaf is whose.
          params: the parameters θ.
          updates: what is corrected, a tree like them, as are the next two.
          fusion_grads: ``∇L_fuse(θ)``.
          fusion_grad_fn: ``∇L_fuse`` elsewhere.
          scales: what each modality's direction is multiplied with, 0 for no perturbation.
          directions: a tree like the parameters, along which ε goes; the fusion gradient if None.
          correct_other: whether leaves of no modality are corrected too.
          point_dtype: the dtype of perturbed leaves of fewer than 32 bits.
          keeps_differences: whether `Corrected.differences` are wanted.
          times: how many times the correction counts.
          radii: ``scales`` before the division by the fusion gradient's norm, from which a branch
            that pulls this gradient back by itself scales its perturbation; None where all are at
            hand, as scores need them.
        """
        self._partition = partition
        self._params = params
        leaves, self._structure = jax.tree.flatten(updates)
        self._clean = jax.tree.leaves(fusion_grads)
        pairs = zip(leaves, self._clean, strict=True)
        zeros = (jnp.zeros_like(difference(u, g, g)) for u, g in pairs)
        self._before = _Leaves(leaves, list(zeros) if keeps_differences else [])
        self._along_fusion = directions is None
        self._directions = fusion_grads if directions is None else directions
        self._scales = dict(scales)
        self._correct_other = correct_other
        self._times = times
        self._point_dtype = point_dtype
        self._narrow = narrow_modalities(params, partition)
        ours = fusion_grad_fn if isinstance(fusion_grad_fn, FusionGradient) else None
        self._local = ours.local if ours else fusion_grad_fn
        self._average = ours.average if ours else lambda leaves: leaves
        self._axis_name = ours.axis_name if ours else None
        self._pullback = ours.clean_pullback if ours else None
        self._lengths = radii
        # Leaves of no modality have their whole gradient where every encoder that reads them runs.
        self._runs_alone = (
            ours is not None
            and ours.features is not None
            and not (correct_other and ours.other_needs_every_encoder(params, partition))
        )

    def take(self, route: Route, index: jax.Array) -> Corrected:
        """The corrected updates.

        Args:
          route: how, known while tracing.
          index: the dominant modality's, which "dense", "switch" and "platform" read.
        """
        if route.how == "clean":
            leaves, radii = self._before, self._no_radii()
        elif route.how == "joint":
            leaves, radii = self._at(self._scales, None)
        elif route.how == "single":
            assert route.modality is not None
            leaves, radii = self._at({route.modality: self._scales[route.modality]}, route.modality)
        elif route.how == "dense":
            leaves, radii = self._dense(index)
        elif route.how == "switch":
            leaves, radii = self._switch(index)
        elif route.how == "platform":
            leaves, radii = jax.lax.platform_dependent(index, cpu=self._dense, default=self._switch)
        else:
            raise ValueError(f"{route} cannot be taken while tracing")
        updates = jax.tree.unflatten(self._structure, leaves.updates)
        return Corrected(updates, {**self._no_radii(), **radii}, leaves.differences)

    def _at(
        self, scales: Mapping[str, jax.Array], modality: str | None
    ) -> tuple[_Leaves, dict[str, jax.Array]]:
        """The modalities in ``scales`` perturbed at once; ``modality``: the only one, if known."""
        gradient, radii = self._look_ahead(scales, modality)
        return self._corrected(self._before, self._average(gradient), scales), radii

    def _dense(self, index: jax.Array) -> tuple[_Leaves, dict[str, jax.Array]]:
        """The modality at the traced ``index``, without control flow.

        A `LateFusion` takes each modality's gradient, the others' features being at hand, and
        keeps one; a plain loss takes one gradient, at the point that moves the chosen one alone.
        """
        scales = self._only(index)
        if not self._runs_alone:
            return self._at(scales, None)
        leaves = self._before
        radii: dict[str, jax.Array] = {}
        for m, scale in scales.items():
            gradient, reached = self._look_ahead({m: scale}, m)
            leaves = self._corrected(leaves, self._average(gradient), {m: scale})
            radii |= reached
        return leaves, radii

    def _switch(self, index: jax.Array) -> tuple[_Leaves, dict[str, jax.Array]]:
        """The modality at the traced ``index`` through ``lax.switch``: its branch alone runs."""
        if self._pulls_in_branch:
            if self._axis_name is None:
                return self._pulled_in_branch(index)
            index = agree(index, self._axis_name)
            return jax.lax.platform_dependent(
                index, cpu=self._given_before_switch, default=self._pulled_in_branch
            )
        if self._axis_name is None:
            gradient, radii = self._switched(index)
        else:
            index = agree(index, self._axis_name)
            # Collectives in branches are the accelerators' own; the CPU's wait for each other.
            gradient, radii = jax.lax.platform_dependent(
                index, cpu=self._averaged_after_switch, default=self._averaged_in_branch
            )
        return self._corrected(self._before, gradient, self._only(index)), radii

    @property
    def _pulls_in_branch(self) -> bool:
        """Whether the clean fusion gradient may be taken of the dominant modality alone."""
        return self._lengths is not None and self._pullback is not None and self._runs_alone

    def _given_before_switch(self, index: jax.Array) -> tuple[_Leaves, dict[str, jax.Array]]:
        """With every modality's clean fusion gradient, and no collective in the branch."""
        gradient, radii = self._averaged_after_switch(index)
        return self._corrected(self._before, gradient, self._only(index)), radii

    def _pulled_in_branch(self, index: jax.Array) -> tuple[_Leaves, dict[str, jax.Array]]:
        """The correction of the modality at ``index``, its clean fusion gradient included."""

        def branch(m: str) -> tuple[_Leaves, dict[str, jax.Array]]:
            assert self._pullback is not None
            assert self._lengths is not None
            used = (*self._partition.positions(m), *self._other_positions())
            pulled = jax.tree.leaves(self._pullback(m))
            clean = self._average({i: pulled[i] for i in used})
            inside = copy.copy(self)
            inside._clean = [clean.get(i, jnp.zeros_like(g)) for i, g in enumerate(self._clean)]
            scale = self._scales[m]
            if self._along_fusion:
                inside._directions = jax.tree.unflatten(self._structure, inside._clean)
                own = [clean[i] for i in self._partition.positions(m)]
                scale = self._lengths[m] * inverse_norm(own, scale.dtype)
                scale = jnp.where(jnp.isfinite(scale), scale, jnp.zeros_like(scale))
            # Where no modality is present, any branch runs, and changes nothing.
            scale = jnp.where(index < 0, jnp.zeros_like(scale), scale)
            gradient, reached = inside._look_ahead({m: scale}, m)
            there = self._average({i: gradient[i] for i in used})
            leaves = inside._corrected(
                self._before, [there.get(i, g) for i, g in enumerate(inside._clean)], {m: scale}
            )
            no_radii = self._no_radii()
            return leaves, {n: reached.get(n, no_radii[n]) for n in self._narrow}

        branches = [functools.partial(branch, m) for m in self._partition.modalities]
        return jax.lax.switch(jnp.maximum(index, 0), branches)

    def _averaged_after_switch(
        self, index: jax.Array
    ) -> tuple[list[jax.Array], dict[str, jax.Array]]:
        """The mean over devices of everything, zeros of other encoders among it."""
        gradient, radii = self._switched(index)
        return self._average(gradient), radii

    def _averaged_in_branch(self, index: jax.Array) -> tuple[list[jax.Array], dict[str, jax.Array]]:
        """The mean over devices of the one encoder's gradient alone."""
        return self._switched(index, averaged=True)

    def _switched(
        self, index: jax.Array, *, averaged: bool = False
    ) -> tuple[list[jax.Array], dict[str, jax.Array]]:
        """The gradient of the modality at ``index``, zeros elsewhere, and its radius."""
        no_radii = self._no_radii()

        def branch(m: str) -> tuple[list[jax.Array], dict[str, jax.Array]]:
            gradient, reached = self._look_ahead({m: self._scales[m]}, m)
            used = {i: gradient[i] for i in (*self._partition.positions(m), *other)}
            # Zeros are of the type of what they stand for: a mean, or one device's own.
            zeros = jax.tree.map(jnp.zeros_like, self._clean if averaged else gradient)
            kept = self._average(used) if averaged else used
            radii = {n: reached.get(n, no_radii[n]) for n in self._narrow}
            return [kept.get(i, zero) for i, zero in enumerate(zeros)], radii

        other = self._other_positions()
        branches = [functools.partial(branch, m) for m in self._partition.modalities]
        return jax.lax.switch(jnp.maximum(index, 0), branches)

    def _only(self, index: jax.Array) -> dict[str, jax.Array]:
        return {
            m: jnp.where(index == i, self._scales[m], jnp.zeros_like(self._scales[m]))
            for i, m in enumerate(self._partition.modalities)
        }

    def _look_ahead(
        self, scales: Mapping[str, jax.Array], modality: str | None
    ) -> tuple[list[jax.Array], dict[str, jax.Array]]:
        """The fusion gradient behind the perturbation, in the clean one's dtypes, and its radii."""
        modality = modality if self._runs_alone else None
        widen = self._widens(scales, modality)
        moved = perturb(self._params, self._directions, self._partition, scales, widen=widen)
        gradient = jax.tree.leaves(self._local(moved, modality))
        return (
            [g.astype(c.dtype) for g, c in zip(gradient, self._clean, strict=True)],
            {m: self._reached(moved, m, scales[m].dtype) for m in scales if m in self._narrow},
        )

    def _widens(self, scales: Mapping[str, jax.Array], modality: str | None) -> bool:
        """Whether the perturbed point of narrow parameters is float32."""
        if not set(scales) & set(self._narrow):
            return False

        def gradient() -> Any:
            widened = perturb(self._params, self._directions, self._partition, scales, widen=True)
            return self._local(widened, modality)

        return widens(self._point_dtype, gradient)

    def _reached(self, moved: Any, modality: str, dtype: Any) -> jax.Array:
        pairs = zip(
            self._partition.leaves(moved, modality),
            self._partition.leaves(self._params, modality),
            strict=True,
        )
        return norm([there.astype(dtype) - here.astype(dtype) for there, here in pairs], dtype)[
            None
        ]

    def _no_radii(self) -> dict[str, jax.Array]:
        return no_radii(self._params, self._partition, accumulation_dtype(self._scales))

    def _other_positions(self) -> tuple[int, ...]:
        """The leaves of no modality, where they are corrected."""
        if not self._correct_other:
            return ()
        labels = enumerate(self._partition.leaf_labels)
        return tuple(i for i, label in labels if label not in self._partition.modalities)

    def _corrected(
        self, before: _Leaves, gradient: Sequence[jax.Array], scales: Mapping[str, jax.Array]
    ) -> _Leaves:
        """``before`` with the correction on the perturbed partitions, and those alone."""
        leaves, result, differences = before.updates, list(before.updates), [*before.differences]
        parts = [(scale != 0, self._partition.positions(m)) for m, scale in scales.items()]
        if self._correct_other:
            any_moved = functools.reduce(jnp.logical_or, [moved for moved, _ in parts])
            parts.append((any_moved, self._other_positions()))
        for is_perturbed, mine in parts:
            changed = {
                i: add_difference(leaves[i], gradient[i], self._clean[i], self._times) for i in mine
            }
            keep = is_perturbed & all_finite(changed.values())
            for i, leaf in changed.items():
                # A choice and no sum: adding 0 would lose the sign of -0.0, and subnormals.
                result[i] = jnp.where(keep, leaf, leaves[i])
                if differences:
                    added = difference(leaves[i], gradient[i], self._clean[i])
                    differences[i] = jnp.where(keep, added, differences[i])
        return _Leaves(result, differences)
