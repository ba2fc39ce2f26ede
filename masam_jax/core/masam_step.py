"""One update of `masam`, once all that is static in it is known."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from masam_jax.core.choice import ChoiceMemory
from masam_jax.core.decision import Decision, StaticUpdate, decide
from masam_jax.core.normalization import by_filters
from masam_jax.core.numerics import accumulation_dtype, is_traced
from masam_jax.core.partition import Partition
from masam_jax.core.perturbation import Corrected, Correction
from masam_jax.core.reuse import keep_component, reuse_component
from masam_jax.core.route import CLEAN, Route
from masam_jax.core.rule_options import Hyperparameters
from masam_jax.core.scores import ModalityScores
from masam_jax.core.signal_checks import (
    check_present,
    require_callable,
    require_entries,
    require_signals,
    require_structure,
)
from masam_jax.core.signals import FusionGradient

_TREE_SIGNALS = ("fusion_grads", "unimodal_grads", "unimodal_losses")
_SIGNALS = (*_TREE_SIGNALS, "fusion_grad_fn")


class MasamState(NamedTuple):
    """The state of `masam`: arrays alone, the same structure at every step.

    Attributes:
      count: int32 scalar, the steps taken.
      scores: APS of each modality, see `ModalityScores`.
      dominant: int32 scalar, the modality of the last step by its place among the sorted names;
        -1 before the first step, where none was present, under ``select="all"`` and ``"soft"``, and
        on steps that take no correction. Where one is reused, the modality it was measured for.
      key: uint32[2], the key of ``select="random"``.
      radius: ``‖ε_m‖₂`` of the last perturbation as it was reached, ``[1]`` for each modality with
        parameters of fewer than 32 bits, which round a small perturbation away. Others reach it
        exactly, and have a scalar that stays 0.
      component: what the steps between two perturbed gradients reuse, a tree like the parameters
        in float32 or wider; None where there are no such steps.
      memory: what options of the choice keep, see `ChoiceMemory`; None without such an option.
    """

    count: jax.Array  # type: ignore[assignment]
    scores: ModalityScores
    dominant: jax.Array
    key: chex.PRNGKey
    radius: dict[str, jax.Array]
    component: Any = None
    memory: ChoiceMemory | None = None


def take_step(
    step: StaticUpdate,
    updates: optax.Updates,
    state: MasamState,
    params: optax.Params,
    signals: dict[str, Any],
    hyperparameters: Hyperparameters,
) -> tuple[Any, MasamState]:
    """The corrected updates, and the state after the step.

    Args:
      step: what is static.
      updates: what is corrected.
      state: the state before the step.
      params: the parameters.
      signals: those of the batch, checked.
      hyperparameters: those of this step.
    """
    inputs = _inputs(step, updates, signals)
    # A gradient function that is no pytree cannot enter a jit, nor be checked.
    fusion_grad_fn = signals["fusion_grad_fn"]
    ours = fusion_grad_fn if isinstance(fusion_grad_fn, FusionGradient) else None
    before = (state.scores, state.memory, state.key)
    operands = (*before, params, inputs, ours, hyperparameters)
    traced = is_traced(updates, state, operands)
    decision = (decide if traced else _jitted_decide)(step, *operands)
    # Where nothing given is traced, the step may be: in a branch of lax.cond, for one.
    traced = traced or is_traced(decision)
    state = state._replace(
        count=optax.safe_increment(state.count), scores=decision.scores, memory=decision.memory
    )
    if not step.refresh.perturbation:
        if state.component is None:
            return updates, state._replace(dominant=jnp.full_like(state.dominant, CLEAN))
        reuse = reuse_component if traced else _jitted_reuse
        component, total_grads = state.component, inputs["total_grads"]
        return reuse(step.partition, updates, component, total_grads, decision.present), state
    route = step.route(traced)
    if route.how == "host":
        route = Route.of_index(int(decision.dominant), step.partition.modalities)
    correct = _correct if traced or ours is None else _jitted_correct
    corrected, component = correct(
        step, route, updates, params, inputs, fusion_grad_fn, decision, hyperparameters.eta
    )
    state = state._replace(
        dominant=decision.dominant, key=decision.key, radius=corrected.radii, component=component
    )
    return corrected.updates, state


def _inputs(step: StaticUpdate, updates: optax.Updates, signals: dict[str, Any]) -> dict[str, Any]:
    """The signals that the step reads, but for the gradient function."""
    inputs = {name: signals[name] for name in _TREE_SIGNALS}
    inputs["present"] = signals.get("present") or {}
    inputs["per_modality_grads"] = signals.get("per_modality_grads")
    inputs["alignment_grads"] = signals.get("alignment_grads")
    if step.settings.at_features:
        inputs["feature_products"] = signals["feature_products"]
    if step.settings.select == "held_out":
        inputs["held_out_losses"] = signals["held_out_losses"]
    if step.settings.along_total or step.settings.reuses:
        total_grads = signals.get("total_grads")
        inputs["total_grads"] = updates if total_grads is None else total_grads
    return inputs


def _correct(
    step: StaticUpdate,
    route: Route,
    updates: optax.Updates,
    params: optax.Params,
    inputs: dict[str, Any],
    fusion_grad_fn: Callable[..., Any],
    decision: Decision,
    eta: Any,
) -> tuple[Corrected, Any]:
    """``updates`` with the correction added, by a known route, and what is reused of it."""
    settings = step.settings
    # Whether scores have fusion gradients of their own, and leave those of all samples alone.
    apart = settings.at_features or inputs["alignment_grads"] is not None
    correction = Correction(
        step.partition,
        params,
        updates,
        inputs["fusion_grads"],
        fusion_grad_fn,
        decision.scales,
        directions=_directions(step, params, inputs, eta),
        correct_other=settings.correct_other,
        point_dtype=settings.point_dtype,
        keeps_differences=settings.reuses,
        times=settings.times,
        radii=decision.radii if apart else None,
    )
    corrected = correction.take(route, decision.dominant)
    if not settings.reuses:
        return corrected, None
    differences, total_grads = corrected.differences, inputs["total_grads"]
    return corrected, keep_component(step.partition, differences, total_grads, settings.reuse)


def _directions(step: StaticUpdate, params: optax.Params, inputs: dict[str, Any], eta: Any) -> Any:
    """What the scales multiply: a gradient, or ``T² g``; None for the fusion gradient."""
    along = inputs["total_grads"] if step.settings.along_total else None
    if step.settings.radius != "filter":
        return along
    gradients, structure = jax.tree.flatten(inputs["fusion_grads"] if along is None else along)
    dtype = accumulation_dtype((params, gradients))
    _, twice = by_filters(jax.tree.leaves(params), gradients, eta, dtype)
    return jax.tree.unflatten(structure, twice)


_jitted_decide = jax.jit(decide, static_argnames="step")
_jitted_correct = jax.jit(_correct, static_argnames=("step", "route"))
_jitted_reuse = jax.jit(reuse_component, static_argnames="partition")


def check_signals(
    signals: dict[str, Any],
    partition: Partition,
    updates: optax.Updates,
    params: optax.Params,
    *,
    alignment: str,
    select: str,
) -> None:
    """Raises ``ValueError`` where a signal is missing, or does not fit the parameters."""
    require_signals("masam", signals, _SIGNALS)
    require_callable("fusion_grad_fn", signals["fusion_grad_fn"])
    require_entries("unimodal_losses", signals["unimodal_losses"], partition.modalities)
    check_present(signals.get("present"), signals["unimodal_losses"])
    if select == "held_out":
        _check_held_out(signals.get("held_out_losses"), partition)
    if alignment == "features":
        if signals.get("feature_products") is None:
            raise ValueError(
                'masam(alignment="features") misses the signal feature_products, which'
                " multimodal_value_and_grad gives of a LateFusion, and not of a plain loss_fn"
            )
        require_entries("feature_products", signals["feature_products"], partition.modalities)
        if signals.get("alignment_grads") is not None:
            raise ValueError(
                'alignment_part= takes γ from gradients of parameters, which alignment="features"'
                " does not read: use one of the two"
            )
    trees = {name: signals[name] for name in ("fusion_grads", "unimodal_grads")}
    if signals.get("total_grads") is not None:
        trees["total_grads"] = signals["total_grads"]
    for name, tree in (signals.get("alignment_grads") or {}).items():
        trees[f"alignment_grads[{name!r}]"] = tree
    require_structure({"updates": updates, **trees}, params)


def _check_held_out(losses: Any, partition: Partition) -> None:
    if not isinstance(losses, Mapping):
        raise ValueError(
            'masam(select="held_out") misses the signal held_out_losses: pass'
            " held_out_losses={modality: scalar}, each modality's own loss on samples that are not"
            f" trained on, for {list(partition.modalities)}; got {losses!r}"
        )
    require_entries("held_out_losses", losses, partition.modalities)
    shapes = {m: jnp.shape(losses[m]) for m in partition.modalities if jnp.ndim(losses[m])}
    if shapes:
        raise ValueError(
            f"held_out_losses must have a scalar for each modality, got shapes {shapes}"
        )


def check_dominant(dominant: Any, partition: Partition) -> int | None:
    """The caller's choice, None for none.

    Raises:
      ValueError: it is no index of a modality, nor -1.
    """
    if dominant is None:
        return None
    count = len(partition.modalities)
    if isinstance(dominant, bool) or not isinstance(dominant, int | np.integer):
        raise ValueError(f"dominant must be a Python integer, got {dominant!r}")
    if not CLEAN <= dominant < count:
        raise ValueError(
            f"dominant must be {CLEAN} (none) or the place of one of {list(partition.modalities)},"
            f" 0 to {count - 1}, got {dominant}"
        )
    return int(dominant)
