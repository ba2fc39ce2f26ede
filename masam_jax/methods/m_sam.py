"""Modality-aware SAM: the encoder of the largest Shapley value is perturbed, and it alone."""

import dataclasses
from typing import Any, Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.numerics import accumulation_dtype, inverse_norm
from masam_jax.core.partition import Labels, Partition, resolve_partition
from masam_jax.core.perturbation import Correction
from masam_jax.core.route import CLEAN, Route
from masam_jax.core.signal_checks import (
    check_present,
    require_callable,
    require_entries,
    require_signals,
    require_structure,
)
from masam_jax.core.signals import FusionGradient
from masam_jax.core.specs import Options, check_choice, check_radius, option
from masam_jax.methods.from_options import built_by, titled
from masam_jax.methods.method import Method
from masam_jax.methods.registry import register
from masam_jax.methods.report import Report
from masam_jax.methods.search import LogUniform

_SIGNALS = ("shapley_values", "fusion_grads", "fusion_grad_fn")


class MSamState(NamedTuple):
    """The state of `m_sam`.

    Attributes:
      count: int32 scalar, the steps taken.
      dominant: int32 scalar, the modality of the last step by its place among the sorted names;
        -1 before the first step, and where no modality had a finite Shapley value.
      report: φ of the last step as ``shapley_value``, see `method_report`.
    """

    count: jax.Array  # type: ignore[assignment]
    dominant: jax.Array
    report: Report


def m_sam(
    labels: Labels,
    *,
    rho: chex.Numeric | optax.Schedule = 0.05,
    dispatch: Literal["auto", "switch", "dense"] = "auto",
    other: str = "other",
) -> optax.GradientTransformationExtraArgs:
    r"""Modality-aware sharpness-aware minimization, as a correction on the total gradient.

    With the Shapley value $\varphi_m$ of modality m in the game $v(S) = -L_{fuse}$,
    the modalities outside S masked, $d = \arg\max_m \varphi_m$ (ties go to the first name in
    sorted order) and $g_d = \nabla_{\theta_d} L_{fuse}(\theta)$,

    $$
    \begin{aligned}
    \epsilon &= \rho_t \, g_d / \|g_d\|_2 \quad \text{on } \theta_d \text{ alone} \\
    u_d &\leftarrow u_d + \nabla_{\theta_d} L_{fuse}(\theta + \epsilon) - g_d
    \end{aligned}
    $$

    and every other update stays. This is `masam` with another choice of the modality and a radius
    that no alignment scales. Any number of modalities M ≥ 1; a single one is always dominant.

    ``update`` needs the signals ``fusion_grads`` and ``fusion_grad_fn`` of
    `multimodal_value_and_grad` and ``shapley_values``, ``{modality: φ_m}`` of the batch (see
    `masam_jax.models.shapley.shapley_values`). ``present={modality: bool}`` leaves out modalities
    that are absent from the batch. A φ that is not finite is never the largest; with none left,
    or a zero or non-finite gradient norm or perturbed gradient, the step is clean.

    Args:
      labels: the modality of each parameter: a tree of strings, a prefix of it, or a callable of
        params, as ``optax.multi_transform`` takes them.
      rho: the radius ρ ≥ 0, in the units of the parameters, or a schedule of it over steps.
      dispatch: how the perturbed gradient is taken, as for `masam`: "switch", "dense", or "auto",
        which is "dense" in programs for CPUs and "switch" elsewhere. All give the same numbers.
      other: the label of the leaves that belong to no modality.

    Raises:
      ValueError: an argument is out of range, the labels name no modality or do not fit the
        parameters, ``params`` or a signal is missing, or a modality has no Shapley value.

    Differences from the release:
      There is none to compare with. What is known of the rule, from the paper's abstract and a
      public summary of its equations: the dominant modality d has the largest Shapley value per
      batch; the loss ℓ of the fusion alone is split by these values $v_m$ into
      $L_d = v_d \ell$ and $L_s = \sum_{m \ne d} v_m \ell$; ε comes from
      $\nabla L_d$, and the update is
      $\nabla L_d(\theta + \epsilon) + \nabla L_s(\theta)$. Chosen here:

      - ε is computed from, and applied to, the dominant encoder's parameters. The summary writes
        ε over all θ; it says of the other modalities that their gradients are plain ones at θ,
        and so are those of the other encoders and of the fusion head here.
      - The dominant encoder's fusion gradient is all of it taken at the perturbed point, not the
        share $v_d$: Shapley values of a loss neither add up to 1 nor need be positive, and
        how the paper normalises them is not known.
      - The value of a subset is -L_fuse of the batch; the abstract speaks of accuracy, of which
        that is the smooth counterpart.
      - ρ = 0.05 is the usual radius of SAM, not the paper's.

    References:
      Hossein R. Nowdeh, Jie Ji, Xiaolong Ma, Fatemeh Afghah. Modality-Aware SAM:
      Sharpness-Aware-Minimization Driven Gradient Modulation for Harmonized Multimodal Learning.
      NeurIPS 2025. https://arxiv.org/abs/2510.24919
    """
    check_radius(rho)
    check_choice("dispatch", dispatch, ("auto", "switch", "dense"))

    def init_fn(params: optax.Params) -> MSamState:
        modalities = resolve_partition(labels, params, other).modalities
        nothing = {m: jnp.zeros((), accumulation_dtype(params)) for m in modalities}
        return MSamState(
            jnp.zeros((), jnp.int32), jnp.full((), CLEAN, jnp.int32), {"shapley_value": nothing}
        )

    def update_fn(
        updates: optax.Updates, state: MSamState, params: optax.Params | None = None, **signals: Any
    ) -> tuple[Any, MSamState]:
        if params is None:
            raise ValueError("m_sam needs params: tx.update(grads, opt_state, params, **signals)")
        partition = resolve_partition(labels, params, other)
        _check_signals(signals, partition, updates, params)
        fusion_grads, fusion_grad_fn = signals["fusion_grads"], signals["fusion_grad_fn"]
        if isinstance(fusion_grad_fn, FusionGradient):
            fusion_grad_fn.check_partition(params, partition)
        dominant = _dominant(partition, signals["shapley_values"], signals.get("present") or {})
        dtype = accumulation_dtype(fusion_grads)
        radius = jnp.asarray(rho(state.count) if callable(rho) else rho, dtype)
        scales = {}
        for index, m in enumerate(partition.modalities):
            scale = radius * inverse_norm(partition.leaves(fusion_grads, m), dtype)
            scales[m] = jnp.where(dominant == index, scale, 0)
        correction = Correction(partition, params, updates, fusion_grads, fusion_grad_fn, scales)
        corrected = correction.take(_route(partition, dispatch), dominant)
        values = {
            m: jnp.asarray(signals["shapley_values"][m]).astype(old.dtype)
            for m, old in state.report["shapley_value"].items()
        }
        moved = MSamState(optax.safe_increment(state.count), dominant, {"shapley_value": values})
        return corrected.updates, moved

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _check_signals(
    signals: dict[str, Any], partition: Partition, updates: optax.Updates, params: optax.Params
) -> None:
    require_signals("m_sam", signals, _SIGNALS, "shapley_values={modality: value} of the batch")
    require_callable("fusion_grad_fn", signals["fusion_grad_fn"])
    require_entries("shapley_values", signals["shapley_values"], partition.modalities)
    check_present(signals.get("present"), partition.modalities)
    require_structure({"updates": updates, "fusion_grads": signals["fusion_grads"]}, params)


def _dominant(partition: Partition, shapley_values: Any, present: Any) -> jax.Array:
    """The index of the modality with the largest finite value, -1 where there is none."""
    dtype = accumulation_dtype(shapley_values)
    values = jnp.stack([jnp.asarray(shapley_values[m]).astype(dtype) for m in partition.modalities])
    here = jnp.stack([jnp.asarray(present.get(m, True)) for m in partition.modalities])
    eligible = jnp.isfinite(values) & here.astype(bool)
    best = jnp.argmax(jnp.where(eligible, values, -jnp.inf)).astype(jnp.int32)
    return jnp.where(jnp.any(eligible), best, jnp.full_like(best, CLEAN))


def _route(partition: Partition, dispatch: Literal["auto", "switch", "dense"]) -> Route:
    if len(partition.modalities) == 1:
        return Route("single", partition.modalities[0])
    return Route("platform" if dispatch == "auto" else dispatch)


@dataclasses.dataclass(frozen=True)
class MSamOptions(Options):
    """Options of the method ``m_sam``.

    Attributes:
      rho: perturbation radius ρ, in units of parameters.
      weight: λ, the weight of every unimodal loss in the total loss. The paper trains the fusion
        loss alone; 0 leaves unimodal heads untrained.
    """

    rho: float = option(0.05, "[0, inf)", "ρ={}", always=True)
    weight: float = option(0.0, "[0, inf)", " λ={}")


M_SAM = register(
    Method(
        name="m_sam",
        summary="SAM on the encoder of the largest Shapley value alone",
        options=MSamOptions,
        build=built_by(m_sam),
        title=titled("M-SAM"),
        loss_weight=lambda options: options.weight,
        signals=("shapley_values",),
        gradients=("fusion",),
        reports={"shapley_value": "φ, the Shapley value of minus the fusion loss, nats"},
        search={"rho": LogUniform(0.1, 200)},
    )
)
