"""What one step of MASAM perturbs: scores, choice, and the scale of each perturbation."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.choice import TOGETHER, Basis, ChoiceMemory, choose, soft_weights
from masam_jax.core.feature_alignment import align_features
from masam_jax.core.numerics import inverse_norm
from masam_jax.core.partition import Partition
from masam_jax.core.refresh import Refresh
from masam_jax.core.route import Route
from masam_jax.core.rule_options import Hyperparameters, RuleOptions
from masam_jax.core.scaling import scale_perturbations
from masam_jax.core.scores import (
    Alignment,
    ModalityScores,
    advance,
    align,
    smooth,
    standardize_scores,
)
from masam_jax.core.signals import FusionGradient


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
        if settings.select in TOGETHER:
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


class Decision(NamedTuple):
    """What one step perturbs.

    Attributes:
      scores: APS after the step.
      dominant: int32 scalar, the dominant modality's index, -1 for none.
      key: the key of the next step.
      scales: ``ρ γ_m / ‖∇_{θ_m} L_fuse‖₂`` of each modality, what its fusion gradient is multiplied
        with to perturb it; 0 where it is not present. With the options, times ``‖θ_m‖₂``, or over
        the norm of the total gradient, or over that of ``T g``, and then for ``T² g``; and
        times ``exp(−κ L_m)``.
      present: whether the modality takes part in this step.
      radii: the same as ``scales``, but not over the norm of the fusion gradient.
      memory: what options of the choice keep; None where there are none.
    """

    scores: ModalityScores
    dominant: jax.Array
    key: chex.PRNGKey
    scales: dict[str, jax.Array]
    present: dict[str, jax.Array]
    radii: dict[str, jax.Array]
    memory: ChoiceMemory | None = None


def decide(
    step: StaticUpdate,
    scores: ModalityScores,
    memory: ChoiceMemory | None,
    key: chex.PRNGKey,
    params: optax.Params,
    inputs: dict[str, Any],
    fusion_gradient: FusionGradient | None,
    hyperparameters: Hyperparameters,
) -> Decision:
    """Scores the modalities, chooses, and scales the perturbations.

    Args:
      step: what is static.
      scores: APS before the step.
      memory: what options of the choice kept so far.
      key: the key of this step.
      params: the parameters.
      inputs: the signals that are trees, "present" and "per_modality_grads" (or None) among them,
        "total_grads" where ε goes along it, and "held_out_losses" where the choice goes by them.
      fusion_gradient: our own gradient function, to be checked against the partition.
      hyperparameters: those of this step.
    """
    partition, settings = step.partition, step.settings
    alpha, beta = hyperparameters.alpha, hyperparameters.beta
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
    observed, is_relative = scores.observed, settings.decay == "relative"
    scores = advance(
        scores, losses, alignments, present, alpha=alpha, beta=beta, relative=is_relative
    )
    basis = Basis(scores.score, losses, present, inputs.get("held_out_losses"))
    if memory is not None:
        scores, basis, memory = _remember(step, scores, basis, memory, observed, hyperparameters)
    index, key = choose(
        settings.select,
        partition.modalities,
        basis,
        key,
        chosen=step.chosen,
        last=None if memory is None else memory.last,
        hysteresis=hyperparameters.hysteresis,
    )
    if memory is not None and memory.last is not None and step.refresh.perturbation:
        memory = memory._replace(last=index)
    weights = None
    if settings.select == "soft":
        weights = soft_weights(partition.modalities, basis, hyperparameters.temperature)
    scales, radii = scale_perturbations(
        partition, settings, hyperparameters, params, inputs, alignments, present, weights
    )
    return Decision(scores, index, key, scales, present, radii, memory)


def _remember(
    step: StaticUpdate,
    scores: ModalityScores,
    basis: Basis,
    memory: ChoiceMemory,
    observed: Mapping[str, jax.Array],
    hyperparameters: Hyperparameters,
) -> tuple[ModalityScores, Basis, ChoiceMemory]:
    """The scores and what the choice goes by, with the options that look back."""
    if memory.mean_squares is not None:
        alpha, beta = hyperparameters.alpha, hyperparameters.beta
        scores, mean_squares = standardize_scores(
            scores, memory.mean_squares, basis.present, alpha=alpha, beta=beta
        )
        memory = memory._replace(mean_squares=mean_squares)
    chosen_by = scores.score
    if memory.smoothed is not None:
        kappa = hyperparameters.smoothing
        chosen_by = smooth(memory.smoothed, scores, observed, basis.present, kappa)
        memory = memory._replace(smoothed=chosen_by)
    return scores, basis._replace(scores=chosen_by), memory


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
    clip_negative = step.settings.clip_negative
    over_norm = inverse_norm(fusion_grads, dtype)
    if step.settings.at_features:
        products = inputs["feature_products"][modality]
        return align_features(products, over_norm, clip_negative=clip_negative, dtype=dtype)
    per_tensor = step.settings.alignment == "per_tensor"
    if inputs["alignment_grads"] is not None:
        both = inputs["alignment_grads"]
        of_part = align(
            step.partition.leaves(both["fusion_grads"], modality),
            step.partition.leaves(both["unimodal_grads"], modality),
            per_tensor=per_tensor,
            clip_negative=clip_negative,
            dtype=dtype,
        )
        return of_part._replace(inverse_norm=over_norm)
    return align(
        fusion_grads,
        step.partition.leaves(_unimodal_grads(inputs, modality), modality),
        per_tensor=per_tensor,
        clip_negative=clip_negative,
        dtype=dtype,
    )


def _unimodal_grads(inputs: dict[str, Any], modality: str) -> Any:
    each = inputs["per_modality_grads"]
    return inputs["unimodal_grads"] if each is None else each[modality]
