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
from masam_jax.core.perturbation import (
    CLEAN,
    Corrected,
    Correction,
    Route,
    no_radii,
)
from masam_jax.core.point_dtype import PointDtype, check_point_dtype
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
      radius: ``‖ε_m‖₂`` of the last step as it was reached, ``[1]`` for each modality with
        parameters of fewer than 32 bits, which round a small perturbation away. Others reach it
        exactly, and have a scalar that stays 0.
    """

    count: jax.Array  # type: ignore[assignment]
    scores: ModalityScores
    dominant: jax.Array
    key: chex.PRNGKey
    radius: dict[str, jax.Array]


_SELECTIONS = ("dominant", "all", "random")


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
    radius: Literal["absolute", "relative"] = "absolute",
    correct_other: bool = False,
    direction: Literal["fusion", "total"] = "fusion",
    perturbed_dtype: PointDtype = "auto",
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

    and every other update stays, bit for bit: it needs nothing of the base optimizer, and stands
    anywhere in a chain. Three options change the equations:

    - ``radius="relative"``: $\epsilon = \rho_t \|\theta_m\|_2 \gamma_m \hat g_m$, so that one
      ρ serves networks of every size and scale;
    - ``correct_other=True``: the leaves of no modality, such as the fusion head, take
      $u + \nabla L_{fuse}(\theta + \epsilon) - \nabla L_{fuse}(\theta)$ too, on steps that
      perturb something;
    - ``direction="total"``: $\hat g_m$ is the direction of $\nabla_{\theta_m} L_{total}$.

    ``update`` takes the signals of `multimodal_value_and_grad`, and ignores extra arguments
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
      rho: the radius ρ ≥ 0, in the units of the parameters or in norms of them (see ``radius``), or
        a schedule of it over steps.
      alpha: the weight α in [0, 1] of the learning speed in the score.
      beta: the smoothing β in [0, 1] of the unimodal losses' moving average.
      select: "dominant" by score; "all": every modality at once, each along its own gradient; a
        modality's name; "random". The last three are the paper's ablation "w/o APS".
      scale_by_alignment: whether γ scales the radius; False is the ablation "w/o MDPS".
      alignment: γ over the "partition" as one vector, or the mean of "per_tensor" cosines as in
        the authors' release.
      clip_negative: whether a negative γ counts as 0 instead of perturbing downhill.
      radius: whether ρ is "absolute", or "relative" to the norm of the modality's parameters,
        accumulated in float32 or wider; with a norm of 0 the modality is not perturbed.
      correct_other: whether leaves labelled ``other`` take the fusion gradient at the perturbed
        point as well, which the pass computes anyway (encoders of a `LateFusion` that read such
        leaves all run again for it).
      direction: along which gradient ε goes: that of the "fusion" loss, or that of the "total"
        loss (the signal ``total_grads``, or the incoming updates without it). γ stays as it is.
      perturbed_dtype: the dtype of perturbed parameters of fewer than 32 bits, whose own rounds a
        small ε away. "float32" keeps ε; "parameters" rounds; "auto" is "float32" where the loss
        can be traced with it. See docs/integration.md.
      dispatch: how the perturbed gradient is taken. "switch" runs the dominant modality's branch
        alone; "dense" has no control flow, which ``vmap`` and convolutions on the CPU want; "host"
        picks a jitted branch from Python and needs an untraced step; "auto" is "host" where the
        step is not traced, else "dense" where the program is compiled for CPUs and "switch" where
        it is for others. All give the same numbers.
      other: the label of the leaves that belong to no modality.
      key: the PRNG key of ``select="random"``; ``jax.random.key(0)`` when None.

    Returns:
      The transformation, with a `MasamState`.

    Raises:
      ValueError: an argument is out of range, the labels name no modality or do not fit the
        parameters, a modality has the name of another selection, ``select`` is unknown, parameters
        are complex or no floating numbers, a signal is missing, or a modality has no loss.

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
    check_flag("correct_other", correct_other)
    check_choice("radius", radius, ("absolute", "relative"))
    check_choice("direction", direction, ("fusion", "total"))
    check_point_dtype(perturbed_dtype)
    check_choice("dispatch", dispatch, ("auto", "switch", "dense", "host"))
    settings = RuleOptions(
        select=select,
        scale_by_alignment=scale_by_alignment,
        per_tensor=alignment == "per_tensor",
        clip_negative=clip_negative,
        relative=radius == "relative",
        correct_other=correct_other,
        along_total=direction == "total",
        point_dtype=perturbed_dtype,
        dispatch=dispatch,
    )

    def resolve(params: optax.Params) -> Partition:
        partition = resolve_partition(labels, params, other)
        ambiguous = sorted(set(_SELECTIONS) & set(partition.modalities))
        if ambiguous:
            raise ValueError(
                f"labels name the modalities {ambiguous}, which select= could not tell from its own"
                f" words {list(_SELECTIONS)}: rename them"
            )
        accepted = (*_SELECTIONS, *partition.modalities)
        if select not in accepted:
            raise ValueError(f"select must be one of {list(accepted)}, got {select!r}")
        return partition

    def init_fn(params: optax.Params) -> MasamState:
        partition = resolve(params)
        dtype = accumulation_dtype(params)
        return MasamState(
            count=jnp.zeros((), jnp.int32),
            scores=initial_scores(partition.modalities, dtype),
            dominant=jnp.full((), CLEAN, jnp.int32),
            key=raw_key(key),
            radius=no_radii(params, partition, dtype),
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
        radius_now = rho(state.count) if callable(rho) else rho
        inputs = {name: signals[name] for name in _TREE_SIGNALS}
        inputs["present"] = signals.get("present") or {}
        inputs["per_modality_grads"] = signals.get("per_modality_grads")
        if settings.along_total:
            total_grads = signals.get("total_grads")
            inputs["total_grads"] = updates if total_grads is None else total_grads
        # A gradient function that is no pytree cannot enter a jit, nor be checked.
        fusion_grad_fn = signals["fusion_grad_fn"]
        ours = fusion_grad_fn if isinstance(fusion_grad_fn, FusionGradient) else None
        chosen = _check_dominant(signals.get("dominant"), partition)
        step = StaticUpdate(settings, partition, chosen)
        operands = (state.scores, state.key, params, inputs, ours, (radius_now, alpha, beta))
        traced = is_traced(updates, state, operands)
        decision = (decide if traced else _jitted_decide)(step, *operands)
        # Where nothing given is traced, the step may be: in a branch of lax.cond, for one.
        traced = traced or is_traced(decision)
        route = step.route(traced)
        if route.how == "host":
            route = Route.of_index(int(decision.dominant), partition.modalities)
        correct = _correct if traced or ours is None else _jitted_correct
        corrected = correct(step, route, updates, params, inputs, fusion_grad_fn, decision)
        state = MasamState(
            optax.safe_increment(state.count),
            decision.scores,
            decision.dominant,
            decision.key,
            corrected.radii,
        )
        return corrected.updates, state

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _correct(
    step: StaticUpdate,
    route: Route,
    updates: optax.Updates,
    params: optax.Params,
    inputs: dict[str, Any],
    fusion_grad_fn: Callable[..., Any],
    decision: Decision,
) -> Corrected:
    """``updates`` with the correction added, taken by a route that is known while tracing."""
    correction = Correction(
        step.partition,
        params,
        updates,
        inputs["fusion_grads"],
        fusion_grad_fn,
        decision.scales,
        directions=inputs["total_grads"] if step.settings.along_total else None,
        correct_other=step.settings.correct_other,
        point_dtype=step.settings.point_dtype,
    )
    return correction.take(route, decision.dominant)


_jitted_decide = jax.jit(decide, static_argnames="step")
_jitted_correct = jax.jit(_correct, static_argnames=("step", "route"))


def _check_signals(
    signals: dict[str, Any], partition: Partition, updates: optax.Updates, params: optax.Params
) -> None:
    require_signals("masam", signals, _SIGNALS)
    require_callable("fusion_grad_fn", signals["fusion_grad_fn"])
    require_entries("unimodal_losses", signals["unimodal_losses"], partition.modalities)
    check_present(signals.get("present"), signals["unimodal_losses"])
    trees = {name: signals[name] for name in ("fusion_grads", "unimodal_grads")}
    if signals.get("total_grads") is not None:
        trees["total_grads"] = signals["total_grads"]
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
