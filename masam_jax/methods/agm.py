"""AGM: the encoder that answers better than it used to, by the others' measure, is slowed down."""

import dataclasses
from typing import Any, Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.numerics import accumulation_dtype
from masam_jax.core.partition import Labels, resolve_partition
from masam_jax.core.signal_checks import require_structure
from masam_jax.core.specs import Options, check_choice, check_number, option
from masam_jax.methods.from_options import call, titled
from masam_jax.methods.method import Context, Method
from masam_jax.methods.modulation import (
    TENSORS,
    Tensors,
    check_until_step,
    read_scalars,
    scale_encoders,
)
from masam_jax.methods.registry import register
from masam_jax.methods.report import Report
from masam_jax.methods.search import LogUniform

Reference = Literal["mean_loss", "mean_ratio"]
_REFERENCES = ("mean_loss", "mean_ratio")
# Keeps float32 finite. Losses whose probabilities are cut at 1e-8 differ by less than 19.
_LARGEST_EXPONENT = 60.0


class AgmState(NamedTuple):
    """The state of `agm`; arrays of length M follow the sorted names of the modalities.

    Attributes:
      count: int32 scalar, the steps taken.
      observed: int32 ``[M]``, the steps in which the modality was present with a finite loss.
      mean: ``[M]``, the mean over those steps of the loss s, or of the ratio r.
      coefficients: ``{modality: scalar}``, κ at the last step; 1 before.
    """

    count: jax.Array  # type: ignore[assignment]
    observed: jax.Array
    mean: jax.Array
    coefficients: dict[str, jax.Array]

    @property
    def report(self) -> Report:
        """κ, as ``gradient_factor``; see `method_report`."""
        return {"gradient_factor": self.coefficients}


def agm(
    labels: Labels,
    *,
    alpha: chex.Numeric = 1.0,
    limit: chex.Numeric = 7.0,
    reference: Reference = "mean_loss",
    until_step: int | None = None,
    tensors: Tensors = "all",
    other: str = "other",
) -> optax.GradientTransformationExtraArgs:
    r"""Adaptive gradient modulation, a scaling of ``updates``.

    With $s_m = \mathrm{CE}(\varphi_m)$, the cross-entropy of the Shapley response
    $\varphi_m$ of each of M modalities to the fusion logits, and $\hat s_m(t)$ its
    mean over the steps before t,

    $$
    \begin{aligned}
    r_m(t) &= \exp\Bigl(\frac{1}{M - 1} \sum_{j \neq m} (s_j - s_m)\Bigr)
    = \exp\Bigl(\frac{M}{M - 1} (\bar s - s_m)\Bigr) \\
    \tau_m(t) &= \exp\Bigl(\frac{M}{M - 1} (\bar{\hat s} - \hat s_m)\Bigr), \quad \tau_m(0) = 1 \\
    \kappa_m &= \exp(\alpha \min(\tau_m - r_m, 7)), \qquad u_m \leftarrow \kappa_m u_m
    \end{aligned}
    $$

    The ratio r is above 1 where a modality answers better than the others do, so that one which
    pulls ahead of its own average, r > τ, is slowed down, and one which falls behind is sped up. A
    single modality has κ = 1, and parameters that belong to no modality stay as they are.

    ``update`` reads the signal ``response_losses={modality: s_m}``, and
    ``present={modality: bool}`` where it is given: a modality that is absent, or whose loss is not
    finite, has κ = 1, no part in the others' mean, and keeps its average.

    Args:
      labels: the modality of each parameter, as `masam` takes them.
      alpha: α ≥ 0, the strength of the modulation.
      limit: the most that τ - r counts; the gradient grows at most by exp(α · limit).
      reference: τ as the ratio of the "mean_loss" of every modality, as above, or as the
        "mean_ratio", the mean of r itself over the steps before.
      until_step: the number of steps that are modulated, from the first; None for all. The
        averages go on.
      tensors: which tensors of an encoder are modulated: "all"; "matrices", those of two
        dimensions and more; or "convolutions", those of exactly four.
      other: the label of the leaves that belong to no modality.

    Returns:
      The transformation, with an `AgmState`.

    Raises:
      ValueError: an argument is out of range, the labels name no modality or do not fit the
        parameters, or the loss of a modality is missing or not a scalar.

    Differences from the release:
      - The release scales the gradient where it enters φ_m, in a backward hook, so that the fusion
        head and all that lies behind is modulated too; of two encoders each also receives
        $(\kappa_j - \kappa_m) / 2$ times the gradient through its answer to an empty input.
        Here the encoder's gradient is scaled as a whole. With a linear fusion head, and encoders
        that answer 0 to an empty input, an encoder's gradient is the same.
      - Its limit is 7 with three modalities, 10 on CREMA-D, and none on the other data sets.
      - It cuts the probabilities of the response at 1e-8; that is up to the signal.
      - It modulates epochs 1 to 20 by default, here ``until_step``.
      - The ratio is also found with $s_m - \bar s$ in the exponent, which fits where s is a
        log-likelihood. For the cross-entropy, all training loops of the release have the sign
        above, and the τ of ``"mean_loss"``.

    References:
      Hong Li, Xingyu Li, Pengbo Hu, Yinuo Lei, Chunxiao Li, Yi Zhou. Boosting Multi-modal Model
      Performance with Adaptive Gradient Modulation. ICCV 2023. https://arxiv.org/abs/2308.07686
    """
    check_number("alpha", alpha, "[0, inf)")
    check_number("limit", limit, "[0, inf)")
    check_choice("reference", reference, _REFERENCES)
    check_choice("tensors", tensors, TENSORS)
    check_until_step(until_step)

    def init_fn(params: optax.Params) -> AgmState:
        modalities = resolve_partition(labels, params, other).modalities
        dtype = accumulation_dtype(params)
        return AgmState(
            count=jnp.zeros((), jnp.int32),
            observed=jnp.zeros(len(modalities), jnp.int32),
            mean=jnp.zeros(len(modalities), dtype),
            coefficients={m: jnp.ones((), dtype) for m in modalities},
        )

    def update_fn(
        updates: optax.Updates, state: AgmState, params: optax.Params | None = None, **signals: Any
    ) -> tuple[Any, AgmState]:
        require_structure({"updates": updates}, updates if params is None else params)
        partition = resolve_partition(labels, updates if params is None else params, other)
        dtype = state.mean.dtype
        losses, usable = read_scalars("agm", "response_losses", signals, partition, dtype)
        ratios = _ratios(losses, usable)
        known = usable & (state.observed > 0)
        if reference == "mean_loss":
            expected, entry = _ratios(state.mean, known), losses
        else:
            expected, entry = jnp.where(known, state.mean, 1), ratios
        excess = jnp.minimum(expected - ratios, jnp.asarray(limit, dtype))
        exponent = jnp.minimum(jnp.asarray(alpha, dtype) * excess, _LARGEST_EXPONENT)
        active = usable if until_step is None else usable & (state.count < until_step)
        coefficients = jnp.where(active, jnp.exp(exponent), 1)
        observed = jnp.where(usable, optax.safe_increment(state.observed), state.observed)
        change = (entry - state.mean) / jnp.maximum(observed, 1).astype(dtype)
        mean = state.mean + jnp.where(usable, change, 0)
        scaled = scale_encoders(updates, partition, coefficients, tensors)
        named = dict(zip(partition.modalities, coefficients, strict=True))
        return scaled, AgmState(optax.safe_increment(state.count), observed, mean, named)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _ratios(losses: jax.Array, usable: jax.Array) -> jax.Array:
    """``exp(M / (M - 1) (mean s - s_m))`` over the usable ones, 1 for the others and for one."""
    count = jnp.sum(usable)
    size = count.astype(losses.dtype)
    mean = jnp.sum(jnp.where(usable, losses, 0)) / jnp.maximum(size, 1)
    exponent = size / jnp.maximum(size - 1, 1) * (mean - losses)
    exponent = jnp.clip(exponent, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)
    return jnp.where(usable & (count > 1), jnp.exp(exponent), 1)


@dataclasses.dataclass(frozen=True)
class AgmOptions(Options):
    """Options of the method ``agm``.

    Attributes:
      alpha: α, the strength of the modulation.
      limit: the most that τ - r counts.
      reference: τ from each modality's ``mean_loss``, or as the ``mean_ratio``.
      tensors: which tensors of an encoder are modulated, see `agm`.
      modulation_epochs: how many epochs are modulated, from the first; 0 for all of them.
      weight: λ, the weight of every unimodal loss in the total loss; 0, as in the paper, leaves
        unimodal heads untrained.
    """

    alpha: float = option(1.0, "[0, inf)", "α={}", always=True)
    limit: float = option(7.0, "[0, inf)", "limit={}")
    reference: Reference = option("mean_loss", title="mean of ratios")
    tensors: Tensors = option("all", title="{}")
    modulation_epochs: int = option(0, "[0, inf)", "{} epochs")
    weight: float = option(0.0, "[0, inf)", "λ={}")


def _build(
    options: AgmOptions, labels: Labels, context: Context
) -> optax.GradientTransformationExtraArgs:
    until_step = options.modulation_epochs * context.steps_per_epoch or None
    return call(agm, options, context, labels=labels, until_step=until_step)


AGM = register(
    Method(
        name="agm",
        summary="scales encoders' gradients by how their responses compare with their average",
        options=AgmOptions,
        build=_build,
        title=titled("AGM"),
        loss_weight=lambda options: options.weight,
        signals=("response_losses",),
        reports={"gradient_factor": "κ, what the encoder's gradient is multiplied with"},
        search={"alpha": LogUniform(0.1, 5.0)},
    )
)
