"""InfoReg: the better informed encoder is held back while information is acquired fast."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from masam_jax.core.numerics import accumulation_dtype
from masam_jax.core.partition import Labels, Partition, resolve_partition
from masam_jax.core.signal_checks import (
    check_present,
    require_entries,
    require_signals,
    require_structure,
)
from masam_jax.core.specs import Options, check_number, check_sizes, option
from masam_jax.methods.from_options import built_by, call, titled
from masam_jax.methods.head_parts import HeadPartsObjective
from masam_jax.methods.method import Context, Method
from masam_jax.methods.objective import LATE_FUSION_OBJECTIVE, Objective
from masam_jax.methods.registry import register
from masam_jax.methods.report import Report
from masam_jax.methods.search import LogUniform

_REPORTS = {
    "prime_window": "whether the epoch is in the prime learning window",
    "pull_factor": "β exp(tanh Δp), the pull to the start of the epoch; 0 without one",
    "fisher_trace": "T, the Fisher trace of the last epoch",
}


class InfoRegState(NamedTuple):
    """The state of `info_reg`: arrays alone, float32 or wider, the same structure at every step.

    Attributes:
      epoch: int32 scalar, the epochs completed.
      step: int32 scalar, the steps taken in this epoch.
      running: ``{modality: scalar}``, this epoch's part of the Fisher trace.
      traces: ``{modality: [history]}``, the traces of the last epochs, the latest last; 0 for
        those before the first.
      window: ``{modality: bool}``, whether this epoch is in the modality's prime learning window.
      snapshot: ``{modality: leaves}``, the encoders at the start of this epoch.
      report: of the last step, see `method_report`: ``prime_window``, 1 in the window and 0
        outside; ``pull_factor``, β exp(tanh Δp) where the modality was pulled, else 0; and
        ``fisher_trace``, T of the last epoch that was completed, 0 before.
    """

    epoch: jax.Array
    step: jax.Array
    running: dict[str, jax.Array]
    traces: dict[str, jax.Array]
    window: dict[str, jax.Array]
    snapshot: Any
    report: Report


def info_reg(
    labels: Labels,
    *,
    steps_per_epoch: int,
    beta: float | Mapping[str, float] = 0.95,
    threshold: float = 0.05,
    history: int = 10,
    other: str = "other",
) -> optax.GradientTransformationExtraArgs:
    r"""Regulates the information acquisition of the information-sufficient modality.

    With $T_m(e)$ the mean over epoch ``e`` of the Fisher trace, each layer (tensor) counting
    by its mean square, and $\bar T_m(e)$ the mean of the last ten, 0 before the first epoch,

    $$
    \begin{aligned}
    T_m &= \mathbb{E}_{steps} \sum_{tensors} \mathrm{mean} (\nabla_{\theta_m} L_{fuse})^2 \\
    k_m(e) &= \frac{\bar T_m(e-1) - \bar T_m(e-2)}{\bar T_m(e-1)}
    \end{aligned}
    $$

    epoch ``e`` is in the prime learning window of ``m`` where $k_m(e) > 0.05$; epoch 0 always
    is. In it the modality with the largest $p_m = \sum_i softmax(z_m)_i[y_i]$ of the batch is
    pulled back to where its encoder was at the start of the epoch:

    $$
    g_m \leftarrow g_m + \beta \exp(\tanh \Delta p) (\theta_m - \theta_m^{start}), \qquad
    \Delta p = p_m - \mathrm{mean}_{j \ne m} p_j
    $$

    added to the incoming updates. Everything else keeps its update: the other encoders, parameters
    labelled ``other``, and all of them where several share the largest p or a p is not finite. With
    more than two modalities the mean of the others extends Δp, and the largest alone is pulled; a
    single modality never is. A gradient whose square is not finite counts as 0 in the trace.

    ``update`` needs the signals ``fusion_grads`` of `multimodal_value_and_grad`, and
    ``confidence``, ``{modality: p}``, of the batch. It reads ``present={modality: bool}`` where it
    is given: a modality that is absent from the batch is not pulled, has no part in the others'
    mean, and adds nothing to its trace.

    Args:
      labels: the modality of each parameter: a tree of strings, a prefix of it, or a callable of
        params.
      steps_per_epoch: steps in which every sample is seen once. At 1 nothing is ever pulled: every
        step starts an epoch.
      beta: β ≥ 0, for all modalities or ``{modality: β}``. The paper's experiments set .95 for
        audio and .1 for video; audio is the sufficient one there, so .95 is the default.
      threshold: the relative change, in [0, 1], above which the window is open.
      history: the epochs whose mean is compared.
      other: the label of the leaves that belong to no modality.

    Returns:
      The transformation, with an `InfoRegState`.

    Raises:
      ValueError: an argument is out of range, β lacks a modality or names an unknown one, the
        labels name no modality or do not fit the parameters, or ``params`` or a signal is missing.

    References:
      Chengxiang Huang, Yake Wei, Zequn Yang, Di Hu. Adaptive Unimodal Regulation for Balanced
      Multimodal Information Acquisition. CVPR 2025. https://arxiv.org/abs/2503.18595

    Differences from the release:
      There the audio encoder's trace marks the window of both modalities; here each has its own.
      The release trains the fusion loss *plus* the cross-entropy of every modality's own part of
      the fusion logits, and its trace is of the gradient of that sum: here so with an objective
      that has these terms, as ``info_reg:parts_weight=1`` does (`HeadPartsObjective`). There the
      trace is taken *after* the pull was added to the gradient, over the weights of convolutions
      and dense layers, biases and normalisation left out; here before it, over all tensors. It
      sums the steps of an epoch where the mean is taken here: a factor that a relative change does
      not see. Sums of p over the batch, the epochs of trace 0 before the first, and the open window
      of epoch 0 are as in the release, which divides by zero where the mean trace is 0.
    """
    for m, each in (beta if isinstance(beta, Mapping) else {"": beta}).items():
        check_number(f"beta[{m!r}]" if m else "beta", each, "[0, inf)")
    check_number("threshold", threshold, "[0, 1]")
    check_sizes(steps_per_epoch=steps_per_epoch, history=history)

    def resolve(params: optax.Params) -> Partition:
        partition = resolve_partition(labels, params, other)
        if isinstance(beta, Mapping) and set(beta) != set(partition.modalities):
            raise ValueError(
                f"beta must be a number or have one for each of {list(partition.modalities)}, got"
                f" {dict(beta)}"
            )
        return partition

    def init_fn(params: optax.Params) -> InfoRegState:
        partition, dtype = resolve(params), accumulation_dtype(params)

        def for_each(value: Any, *shape: int, dtype: Any = dtype) -> dict[str, jax.Array]:
            return {m: jnp.full(shape, value, dtype) for m in partition.modalities}

        # A copy, for a step may donate both; and a single leaf for the empty placeholder that
        # optax.tree.map_params initialises with, so that it passes over the snapshot.
        snapshot = {
            m: tuple(jnp.array(x, dtype) for x in partition.leaves(params, m))
            for m in partition.modalities
        }
        return InfoRegState(
            epoch=jnp.zeros((), jnp.int32),
            step=jnp.zeros((), jnp.int32),
            running=for_each(0),
            traces=for_each(0, history),
            window=for_each(True, dtype=bool),
            snapshot=snapshot if partition.leaf_labels else jnp.zeros((), dtype),
            report={name: for_each(0) for name in _REPORTS},
        )

    def update_fn(
        updates: optax.Updates,
        state: InfoRegState,
        params: optax.Params | None = None,
        **signals: Any,
    ) -> tuple[Any, InfoRegState]:
        if params is None:
            raise ValueError(
                "info_reg needs params: tx.update(grads, opt_state, params, **signals)"
            )
        partition = resolve(params)
        _check_signals(signals, partition, updates, params)
        given = signals.get("present") or {}
        present = {m: jnp.asarray(given.get(m, True), bool) for m in partition.modalities}
        is_start, is_end = state.step == 0, state.step == steps_per_epoch - 1
        leaves, structure = jax.tree.flatten(updates)
        running, traces, window, snapshot, pulls = {}, {}, {}, {}, {}
        for m in partition.modalities:
            dtype = state.running[m].dtype
            now = [jnp.asarray(x).astype(dtype) for x in partition.leaves(params, m)]
            snapshot[m] = tuple(
                jnp.where(is_start, x, old) for x, old in zip(now, state.snapshot[m], strict=True)
            )
            is_pulled, factor = _pull(signals["confidence"], present, m, dtype)
            is_pulled = is_pulled & state.window[m]
            factor = jnp.asarray(beta[m] if isinstance(beta, Mapping) else beta, dtype) * factor
            pulls[m] = jnp.where(is_pulled, factor, jnp.zeros_like(factor))
            places = partition.positions(m)
            for i, x, start in zip(places, now, snapshot[m], strict=True):
                pull = jnp.where(is_pulled, factor * (x - start), jnp.zeros_like(x))
                leaves[i] = leaves[i] + pull.astype(leaves[i].dtype)
            trace = _trace(partition.leaves(signals["fusion_grads"], m), dtype)
            trace = jnp.where(present[m], trace, jnp.zeros_like(trace))
            total = state.running[m] + trace / steps_per_epoch
            old, last = jnp.mean(state.traces[m]), jnp.append(state.traces[m][1:], total)
            is_open = jnp.mean(last) - old > threshold * jnp.mean(last)
            running[m] = jnp.where(is_end, jnp.zeros_like(total), total)
            traces[m] = jnp.where(is_end, last, state.traces[m])
            window[m] = jnp.where(is_end, is_open, state.window[m])
        new = InfoRegState(
            epoch=jnp.where(is_end, optax.safe_increment(state.epoch), state.epoch),
            step=jnp.where(is_end, jnp.zeros_like(state.step), state.step + 1),
            running=running,
            traces=traces,
            window=window,
            snapshot=snapshot,
            report={
                "prime_window": {m: x.astype(pulls[m].dtype) for m, x in state.window.items()},
                "pull_factor": pulls,
                "fisher_trace": {m: each[-1] for m, each in traces.items()},
            },
        )
        return jax.tree.unflatten(structure, leaves), new

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _pull(
    confidence: Mapping[str, Any], present: Mapping[str, jax.Array], modality: str, dtype: Any
) -> tuple[jax.Array, jax.Array]:
    """Whether the modality alone is the most confident of those present, and ``exp(tanh Δp)``."""
    p = {m: jnp.asarray(confidence[m]).astype(dtype) for m in present}
    own, rivals = p[modality], [m for m in present if m != modality]
    is_most = jnp.isfinite(own) & present[modality]
    count, others = jnp.zeros((), dtype), jnp.zeros((), dtype)
    for m in rivals:
        is_most = is_most & (~present[m] | ((own > p[m]) & jnp.isfinite(p[m])))
        count = count + present[m].astype(dtype)
        others = others + jnp.where(present[m], p[m], 0)
    gap = own - others / jnp.maximum(count, 1)
    return is_most & (count > 0), jnp.exp(jnp.tanh(gap))


def _trace(gradients: list[jax.Array], dtype: Any) -> jax.Array:
    """``Σ_tensors mean(g²)``, 0 where it is not finite."""
    squares = [jnp.mean(jnp.square(g.astype(dtype))) for g in gradients if g.size]
    trace = sum(squares, jnp.zeros((), dtype))
    return jnp.where(jnp.isfinite(trace), trace, jnp.zeros_like(trace))


def _check_signals(
    signals: dict[str, Any], partition: Partition, updates: optax.Updates, params: optax.Params
) -> None:
    names = ("fusion_grads", "confidence")
    require_signals("info_reg", signals, names, "confidence={modality: scalar} of the batch")
    require_entries("confidence", signals["confidence"], partition.modalities)
    check_present(signals.get("present"), partition.modalities)
    require_structure({"updates": updates, "fusion_grads": signals["fusion_grads"]}, params)


@dataclasses.dataclass(frozen=True)
class InfoRegOptions(Options):
    """Options of the method ``info_reg``.

    Attributes:
      beta: β, the pull towards the start of the epoch, for whichever modality is pulled.
      threshold: the relative change of the Fisher trace's mean above which the window is open.
      history: the epochs in that mean.
      parts_weight: the weight of the losses of each modality's part of the fusion logits, added to
        the fusion loss; 1 in the authors' release.
      weight: λ, the weight of every unimodal loss in the total loss; 0 leaves the unimodal heads
        untrained.
    """

    beta: float = option(0.95, "[0, inf)", "β={}", always=True)
    threshold: float = option(0.05, "[0, 1]", "k>{}")
    history: int = option(10, "[1, inf)", "{} epochs")
    parts_weight: float = option(0.0, "[0, inf)", "parts={}")
    weight: float = option(0.0, "[0, inf)", "λ={}")


def _objective(options: InfoRegOptions, context: Context) -> Objective:
    if not options.parts_weight:
        return LATE_FUSION_OBJECTIVE
    return call(HeadPartsObjective, options, context)


def _warning(options: InfoRegOptions, context: Context) -> str:
    if context.steps_per_epoch > 1 or not options.beta:
        return ""
    return (
        "an epoch is one step here, and it pulls encoders towards where they were when the epoch"
        " began: nothing is ever pulled; a --batch-size below the number of training samples helps"
    )


INFO_REG = register(
    Method(
        name="info_reg",
        summary="holds the most confident encoder back in its prime learning window",
        options=InfoRegOptions,
        build=built_by(info_reg),
        objective=_objective,
        title=titled("InfoReg"),
        loss_weight=lambda options: options.weight,
        signals=("confidence",),
        gradients=("fusion",),
        reports=_REPORTS,
        search={"beta": LogUniform(0.05, 5.0)},
        warning=_warning,
    )
)
