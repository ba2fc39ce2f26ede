"""What one step of MASAM perturbs: scores, choice, and the scale of each perturbation."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.numerics import inverse_norm, norm
from masam_jax.core.partition import Partition
from masam_jax.core.point_dtype import PointDtype
from masam_jax.core.random_keys import split_raw
from masam_jax.core.refresh import Refresh
from masam_jax.core.route import CLEAN, Route
from masam_jax.core.scores import Alignment, ModalityScores, advance, align
from masam_jax.core.signals import FusionGradient


@dataclasses.dataclass(frozen=True)
class RuleOptions:
    """The options of a `masam` that are known while tracing; hashable, for ``jit``.

    Attributes:
      select: "dominant", "all", "random" or a modality.
      scale_by_alignment: whether γ scales the radius.
      per_tensor: whether γ is the mean of single tensors' cosines.
      clip_negative: whether a negative γ counts as 0.
      relative: whether ρ counts in norms of the partition's parameters.
      correct_other: whether leaves of no modality are corrected too.
      along_total: whether ε goes along the total gradient.
      point_dtype: the dtype of perturbed parameters of fewer than 32 bits.
      dispatch: "auto", "switch", "dense" or "host".
      reuse: what of a correction later steps take: "orthogonal", "whole" or "none".
      times: how many times a correction counts at the step that measures it.
    """

    select: str
    scale_by_alignment: bool
    per_tensor: bool
    clip_negative: bool
    relative: bool
    correct_other: bool
    along_total: bool
    point_dtype: PointDtype
    dispatch: str
    reuse: str
    times: int = 1

    @property
    def reuses(self) -> bool:
        """Whether steps reuse a correction."""
        return self.reuse != "none"


@dataclasses.dataclass(frozen=True)
class StaticUpdate:
    """What is static in one update; hashable, for ``jit``.

    Attributes:
      settings: the options of the transformation.
      partition: whose parameter is whose.
      chosen: the dominant modality's index where the caller chose it, else None.
      refresh: what the step measures anew.
    """

    settings: RuleOptions
    partition: Partition
    chosen: int | None
    refresh: Refresh

    def route(self, traced: bool) -> Route:
        """How to take the correction."""
        modalities, settings = self.partition.modalities, self.settings
        if settings.select == "all":
            return Route("joint")
        if settings.select in modalities:
            return Route("single", settings.select)
        if self.chosen is not None:
            return Route.of_index(self.chosen, modalities)
        if len(modalities) == 1:
            return Route("single", modalities[0])
        if settings.dispatch == "host" and traced:
            raise ValueError(
                'dispatch="host" needs a step that is not traced (or dominant=, the caller\'s'
                ' choice); under jit, vmap, pmap, scan or cond use "auto", "dense" or "switch"'
            )
        if settings.dispatch == "dense":
            return Route("dense")
        if settings.dispatch == "switch":
            return Route("switch")
        return Route("platform" if traced else "host")

    def choose(
        self, scores: ModalityScores, present: Mapping[str, jax.Array], key: chex.PRNGKey
    ) -> tuple[jax.Array, jax.Array]:
        """The dominant modality's index, and the key of the next step."""
        modalities, select = self.partition.modalities, self.settings.select
        if select == "all":
            return jnp.asarray(CLEAN, jnp.int32), key
        if select == "random":
            draw_key, key = split_raw(key)
            values = jax.random.uniform(draw_key, (len(modalities),), jnp.float32)
        elif select in modalities:
            values = jnp.asarray([m == select for m in modalities], jnp.float32)
        else:
            values = jnp.stack([scores.score[m] for m in modalities])
        there = jnp.stack([present[m] for m in modalities])
        if select in modalities:
            there = there & (values > 0)
        if self.chosen is not None and select in ("dominant", "random"):
            return jnp.asarray(self.chosen, jnp.int32), key
        best = jnp.argmax(jnp.where(there, values, -jnp.inf)).astype(jnp.int32)
        return jnp.where(jnp.any(there), best, jnp.full_like(best, CLEAN)), key


class Decision(NamedTuple):
    """What one step perturbs.

    Attributes:
      scores: APS after the step.
      dominant: int32 scalar, the dominant modality's index, -1 for none.
      key: the key of the next step.
      scales: ``ρ γ_m / ‖∇_{θ_m} L_fuse‖₂`` of each modality, what its fusion gradient is multiplied
        with to perturb it; 0 where it is not present. With the options, times ``‖θ_m‖₂``, or over
        the norm of the total gradient.
      present: whether the modality takes part in this step.
    """

    scores: ModalityScores
    dominant: jax.Array
    key: chex.PRNGKey
    scales: dict[str, jax.Array]
    present: dict[str, jax.Array]


def decide(
    step: StaticUpdate,
    scores: ModalityScores,
    key: chex.PRNGKey,
    params: optax.Params,
    inputs: dict[str, Any],
    fusion_gradient: FusionGradient | None,
    hyperparameters: Any,
) -> Decision:
    """Scores the modalities, chooses, and scales the perturbations.

    Args:
      step: what is static.
      scores: APS before the step.
      key: the key of this step.
      params: the parameters.
      inputs: the signals that are trees, "present" and "per_modality_grads" (or None) among them,
        and "total_grads" where ε goes along it.
      fusion_gradient: our own gradient function, to be checked against the partition.
      hyperparameters: ``(ρ, α, β)``.
    """
    partition, settings = step.partition, step.settings
    radius, alpha, beta = hyperparameters
    if fusion_gradient is not None:
        fusion_gradient.check_partition(params, partition)
    alignments = {m: _alignment(step, scores, inputs, m) for m in partition.modalities}
    present = {}
    for m in partition.modalities:
        # In the dtype of the averages: a larger one's finite loss may be infinite there.
        loss = jnp.asarray(inputs["unimodal_losses"][m]).astype(scores.score[m].dtype)
        is_informative = jnp.isfinite(loss) & ~((loss == 0) & alignments[m].is_flat)
        present[m] = jnp.asarray(inputs["present"].get(m, True)).astype(bool) & is_informative
    losses = inputs["unimodal_losses"]
    scores = advance(scores, losses, alignments, present, alpha=alpha, beta=beta)
    index, key = step.choose(scores, present, key)
    scales = {}
    for m in partition.modalities:
        dtype = scores.score[m].dtype
        factor = alignments[m].cosine if settings.scale_by_alignment else jnp.ones((), dtype)
        over_norm = alignments[m].inverse_norm
        if settings.along_total:
            over_norm = inverse_norm(partition.leaves(inputs["total_grads"], m), dtype)
        scale = jnp.asarray(radius, dtype) * factor * over_norm
        if settings.relative:
            scale = scale * norm(partition.leaves(params, m), dtype)
        usable = present[m] & jnp.isfinite(scale)
        scales[m] = jnp.where(usable, scale, jnp.zeros_like(scale))
    return Decision(scores, index, key, scales, present)


def _alignment(
    step: StaticUpdate, scores: ModalityScores, inputs: dict[str, Any], modality: str
) -> Alignment:
    """γ as it is measured at this step, or as it was at an earlier one."""
    dtype = scores.score[modality].dtype
    fusion_grads = step.partition.leaves(inputs["fusion_grads"], modality)
    if not step.refresh.scores:
        # Without a gradient to ask, a loss of zero alone says that there was no sample.
        is_flat = jnp.ones((), bool)
        return Alignment(scores.alignment[modality], inverse_norm(fusion_grads, dtype), is_flat)
    return align(
        fusion_grads,
        step.partition.leaves(_unimodal_grads(inputs, modality), modality),
        per_tensor=step.settings.per_tensor,
        clip_negative=step.settings.clip_negative,
        dtype=dtype,
    )


def _unimodal_grads(inputs: dict[str, Any], modality: str) -> Any:
    each = inputs["per_modality_grads"]
    return inputs["unimodal_grads"] if each is None else each[modality]
