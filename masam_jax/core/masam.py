"""MASAM as a gradient transformation: a correction on the total gradient."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from masam_jax.core.decision import Decision, RuleOptions, StaticUpdate, decide
from masam_jax.core.numerics import accumulation_dtype, is_traced
from masam_jax.core.partition import Labels, Partition, resolve_partition
from masam_jax.core.perturbation import CLEAN, Correction
from masam_jax.core.random_keys import raw_key
from masam_jax.core.scores import ModalityScores, initial_scores
from masam_jax.core.signal_checks import (
    check_present,
    require_callable,
    require_entries,
    require_signals,
    require_structure,
)
from masam_jax.core.signals import FusionGradient
from masam_jax.core.specs import check_choice, check_flag, check_number, check_radius

Dispatch = Literal["auto", "switch", "dense", "host"]

_TREE_SIGNALS = ("fusion_grads", "unimodal_grads", "unimodal_losses")
_SIGNALS = (*_TREE_SIGNALS, "fusion_grad_fn")


class MasamState(NamedTuple):
    """The state of `masam`: arrays alone, the same structure at every step.

    Attributes:
      count: int32 scalar, the steps taken.
      scores: APS of each modality, see `ModalityScores`.
      dominant: int32 scalar, the modality of the last step by its place among the sorted names;
        -1 before the first step, where none was present, and under ``select="all"``.
      key: uint32[2], the key of ``select="random"``.
    """

    count: jax.Array  # type: ignore[assignment]
    scores: ModalityScores
    dominant: jax.Array
    key: chex.PRNGKey


def masam(
    labels: Labels,
    *,
    rho: chex.Numeric | optax.Schedule = 0.3,
    alpha: chex.Numeric = 0.8,
    beta: chex.Numeric = 0.91,
    select: str = "dominant",
    scale_by_alignment: bool = True,
    alignment: Literal["partition", "per_tensor"] = "partition",
    clip_negative: bool = False,
    dispatch: Dispatch = "auto",
    other: str = "other",
    key: chex.PRNGKey | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""Multimodal adaptive sharpness-aware minimization, as a correction on the total gradient.

    With $m^* = \arg\max_m \alpha Decay_m + (1 - \alpha) \gamma_m$ (APS) and
    $\epsilon = \rho_t \gamma_{m^*} \nabla_{\theta_{m^*}} L_{fuse} / \|\cdot\|_2$ (MDPS),

    $$
    u_{m^*} \leftarrow u_{m^*} + \nabla L_{fuse}(\theta + \epsilon) - \nabla L_{fuse}(\theta)
    $$

    and every other update stays: it needs nothing of the base optimizer, and stands anywhere in a
    chain. ``update`` takes the signals of `multimodal_value_and_grad`, and ignores extra arguments
    that it does not know. Beside them it understands

    - ``present={modality: bool}``: a modality absent from the batch is neither chosen nor
      perturbed, and its average stays. So is one whose loss is not finite, or whose loss and
      gradient are exactly zero (a mean over no samples). With none present the step is clean.
    - ``dominant=int``, static: the caller's choice (an index into the sorted names, -1: none), so
      that one branch alone is traced; `masam_jax.training.make_train_step` dispatches from the host
      with it.
    - ``per_modality_grads``: see ``shared_parameters`` of `multimodal_value_and_grad`.

    Gradients are accumulated with ``multimodal_value_and_grad(..., microbatches=k)``:
    ``optax.MultiSteps`` would keep the last micro-batch's perturbed gradient only.

    Args:
      labels: the modality of each parameter: a tree of strings, a prefix of it, or a callable of
        params, as ``optax.multi_transform`` takes them; see `label_by_path`.
      rho: the radius ρ ≥ 0, in the units of the parameters, or a schedule of it over steps.
      alpha: the weight α in [0, 1] of the learning speed in the score.
      beta: the smoothing β in [0, 1] of the unimodal losses' moving average.
      select: "dominant" by score; "all": every modality at once, each along its own gradient; a
        modality's name; "random". The last three are the paper's ablation "w/o APS".
      scale_by_alignment: whether γ scales the radius; False is the ablation "w/o MDPS".
      alignment: γ over the "partition" as one vector, or the mean of "per_tensor" cosines as in
        the authors' release.
      clip_negative: whether a negative γ counts as 0 instead of perturbing downhill.
      dispatch: how the perturbed gradient is taken. "switch" runs the dominant modality's branch
        alone; "dense" has no control flow, which ``vmap`` and convolutions on the CPU want; "host"
        picks a jitted branch from Python and needs an untraced step; "auto" is "host" where the
        step is not traced, "dense" on the CPU, "switch" elsewhere. All give the same numbers.
      other: the label of the leaves that belong to no modality.
      key: the PRNG key of ``select="random"``; ``jax.random.key(0)`` when None.

    Returns:
      The transformation, with a `MasamState`.

    Raises:
      ValueError: an argument is out of range, the labels name no modality or do not fit the
        parameters, ``select`` is unknown, a signal is missing, or a modality has no loss.

    References:
      Zijie Chen, Kejing Yin, Wenfang Yao, William K. Cheung, Jing Qin. MASAM: Multimodal Adaptive
      Sharpness-Aware Minimization for Heterogeneous Data Fusion. ICLR 2026.
      https://openreview.net/forum?id=AUKeDukcUi

    Examples:
      >>> import optax
      >>> from masam_jax import masam_metrics, multimodal_value_and_grad
      >>> params = {"audio": 1.0, "video": 2.0, "head": 0.5}
      >>> def loss_fn(p):
      ...     fused = (p["head"] * (p["audio"] + p["video"]) - 1.0) ** 2
      ...     return fused, {m: p[m] ** 2 for m in ("audio", "video")}
      >>> labels = {"audio": "audio", "video": "video", "head": "other"}
      >>> tx = optax.chain(masam(labels, rho=0.1), optax.sgd(0.1))
      >>> opt_state = tx.init(params)
      >>> losses, grads, signals = multimodal_value_and_grad(loss_fn)(params)
      >>> updates, opt_state = tx.update(grads, opt_state, params, **signals)
      >>> masam_metrics(opt_state)["dominant"]
      'audio'
    """
    check_radius(rho)
    check_number("alpha", alpha, "[0, 1]")
    check_number("beta", beta, "[0, 1]")
    if not isinstance(select, str) or select == other:
        raise ValueError(
            f'select must be "dominant", "all", "random" or a modality, got {select!r}'
        )
    check_flag("scale_by_alignment", scale_by_alignment)
    check_flag("clip_negative", clip_negative)
    check_choice("alignment", alignment, ("partition", "per_tensor"))
    check_choice("dispatch", dispatch, ("auto", "switch", "dense", "host"))
    settings = RuleOptions(
        select, scale_by_alignment, alignment == "per_tensor", clip_negative, dispatch
    )

    def resolve(params: optax.Params) -> Partition:
        partition = resolve_partition(labels, params, other)
        accepted = ("dominant", "all", "random", *partition.modalities)
        if select not in accepted:
            raise ValueError(f"select must be one of {list(accepted)}, got {select!r}")
        return partition

    def init_fn(params: optax.Params) -> MasamState:
        modalities = resolve(params).modalities
        return MasamState(
            count=jnp.zeros((), jnp.int32),
            scores=initial_scores(modalities, accumulation_dtype(params)),
            dominant=jnp.full((), CLEAN, jnp.int32),
            key=raw_key(key),
        )

    def update_fn(
        updates: optax.Updates,
        state: MasamState,
        params: optax.Params | None = None,
        **signals: Any,
    ) -> tuple[Any, MasamState]:
        if params is None:
            raise ValueError("masam needs params: tx.update(grads, opt_state, params, **signals)")
        partition = resolve(params)
        _check_signals(signals, partition, updates, params)
        radius = rho(state.count) if callable(rho) else rho
        inputs = {name: signals[name] for name in _TREE_SIGNALS}
        inputs["present"] = signals.get("present") or {}
        inputs["per_modality_grads"] = signals.get("per_modality_grads")
        # A gradient function that is no pytree cannot enter a jit, nor be checked.
        fusion_grad_fn = signals["fusion_grad_fn"]
        ours = fusion_grad_fn if isinstance(fusion_grad_fn, FusionGradient) else None
        chosen = _check_dominant(signals.get("dominant"), partition)
        step = StaticUpdate(settings, partition, chosen)
        operands = (state.scores, state.key, params, inputs, ours, (radius, alpha, beta))
        traced = is_traced(updates, state, operands)
        decision = (decide if traced else _jitted_decide)(step, *operands)
        how = step.dispatch(traced)
        if how == "host":
            index = int(decision.dominant)
            how = "clean" if index == CLEAN else partition.modalities[index]
        correct = _correct if traced or ours is None else _jitted_correct
        corrected = correct(
            step, how, updates, params, inputs["fusion_grads"], fusion_grad_fn, decision
        )
        count = optax.safe_increment(state.count)
        return corrected, MasamState(count, decision.scores, decision.dominant, decision.key)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _correct(
    step: StaticUpdate,
    how: str,
    updates: optax.Updates,
    params: optax.Params,
    fusion_grads: chex.ArrayTree,
    fusion_grad_fn: Callable[..., Any],
    decision: Decision,
) -> Any:
    """``updates`` with the correction added; ``how`` is a dispatch, a modality, or "clean"."""
    if how == "clean":
        return updates
    correction = Correction(
        params,
        fusion_grads,
        fusion_grad_fn,
        step.partition,
        decision.scales,
    )
    if how == "all":
        corrections = correction.joint()
    elif how == "dense":
        corrections = correction.dense(decision.dominant)
    elif how == "switch":
        corrections = correction.switch(decision.dominant)
    else:
        corrections = correction.single(how)
    leaves, structure = jax.tree.flatten(updates)
    corrected = [
        leaf if change is None else leaf + change.astype(leaf.dtype)
        for leaf, change in zip(leaves, corrections, strict=True)
    ]
    return jax.tree.unflatten(structure, corrected)


_jitted_decide = jax.jit(decide, static_argnames="step")
_jitted_correct = jax.jit(_correct, static_argnames=("step", "how"))


def _check_signals(
    signals: dict[str, Any], partition: Partition, updates: optax.Updates, params: optax.Params
) -> None:
    require_signals("masam", signals, _SIGNALS)
    require_callable("fusion_grad_fn", signals["fusion_grad_fn"])
    require_entries("unimodal_losses", signals["unimodal_losses"], partition.modalities)
    check_present(signals.get("present"), signals["unimodal_losses"])
    trees = {name: signals[name] for name in _TREE_SIGNALS[:2]}
    require_structure({"updates": updates, **trees}, params)


def _check_dominant(dominant: Any, partition: Partition) -> int | None:
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
