"""OGM-GE: the encoder that is ahead gets a smaller gradient, and every encoder Gaussian noise."""

import dataclasses
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.numerics import accumulation_dtype
from masam_jax.core.partition import Labels, Partition, resolve_partition
from masam_jax.core.random_keys import raw_key, split_raw
from masam_jax.core.signal_checks import require_structure
from masam_jax.core.specs import Options, check_choice, check_flag, check_number, option
from masam_jax.methods.from_options import call, title_of
from masam_jax.methods.method import Context, Method
from masam_jax.methods.modulation import (
    TENSORS,
    Tensors,
    check_until_step,
    is_modulated,
    read_scalars,
    scale_encoders,
)
from masam_jax.methods.registry import register
from masam_jax.methods.report import Report
from masam_jax.methods.search import Uniform

# Where the others have no confidence at all; tanh is 1 long before.
_LARGEST_RATIO = 1e30


class OgmGeState(NamedTuple):
    """The state of `ogm_ge`.

    Attributes:
      count: int32 scalar, the steps taken.
      coefficients: ``{modality: scalar}``, k at the last step; 1 before.
      key: uint32[2], the key of the noise.
    """

    count: jax.Array  # type: ignore[assignment]
    coefficients: dict[str, jax.Array]
    key: chex.PRNGKey

    @property
    def report(self) -> Report:
        """k, as ``gradient_factor``; see `method_report`."""
        return {"gradient_factor": self.coefficients}


def ogm_ge(
    labels: Labels,
    *,
    alpha: chex.Numeric = 0.3,
    noise: bool = True,
    until_step: int | None = None,
    tensors: Tensors = "all",
    other: str = "other",
    key: chex.PRNGKey | None = None,
) -> optax.GradientTransformationExtraArgs:
    r"""On-the-fly gradient modulation with generalization enhancement, a scaling of ``updates``.

    With the confidence $p_m = \sum_i \mathrm{softmax}(z_m)_i[y_i]$ of each of M modalities,
    and the standard deviation of each tensor of the incoming updates u,

    $$
    \begin{aligned}
    \rho_m &= p_m \Big/ \frac{1}{M - 1} \sum_{j \neq m} p_j, \qquad
    k_m = \begin{cases} 1 - \tanh(\alpha \rho_m) & \rho_m > 1 \\ 1 & \text{otherwise}\end{cases}
    \\
    u_m &\leftarrow k_m u_m + \xi, \qquad \xi \sim \mathcal N(0, \mathrm{std}(u_m)^2)
    \end{aligned}
    $$

    For M = 2 this is the paper's ratio of two. Beyond, the others' mean takes the place of the
    other one: several modalities may be ahead, the weakest never is, and equal ones are left
    alone. A single modality has k = 1. Where all others have no confidence, k is the limit, 0.

    Parameters that belong to no modality stay as they are; without noise, so do those of all
    modalities that are not ahead. ``update`` reads the signal ``confidence={modality: scalar}``,
    and ``present={modality: bool}`` where it is given: a modality that is absent, or whose
    confidence is not finite, has k = 1 and no part in the others' mean.

    Args:
      labels: the modality of each parameter, as `masam` takes them.
      alpha: α ≥ 0, how strongly the modality that is ahead is held back.
      noise: whether the noise ξ is added (OGM-GE) or not (OGM).
      until_step: the number of steps that are modulated, from the first; None for all.
      tensors: which tensors of an encoder are modulated: "all"; "matrices", those of two
        dimensions and more; or "convolutions", those of exactly four, as in the release.
      other: the label of the leaves that belong to no modality.
      key: the PRNG key of the noise; any typed or raw one, that of seed 0 when None.

    Returns:
      The transformation, with an `OgmGeState`.

    Raises:
      ValueError: an argument is out of range, the labels name no modality or do not fit the
        parameters, or the confidence of a modality is missing or not a scalar.

    Differences from the release:
      - The release modulates tensors of four dimensions alone, the kernels of convolutions; the
        paper the parameters of the encoder. ``tensors="convolutions"`` does as the release.
      - It adds 1e-8 to the standard deviation; here a tensor of zero gradients stays zero. Both
        divide by the number of entries less one; a tensor of one entry gets no noise here, NaN
        there.
      - Its ``relu`` around the ratio changes nothing, since the ratio is positive.
      - It modulates two modalities in epochs 0 to 50 of 100 by default, here ``until_step``; it
        recommends α = .8 for CREMA-D and .1 for VGGSound.

    References:
      Xiaokang Peng, Yake Wei, Andong Deng, Dong Wang, Di Hu. Balanced Multimodal Learning via
      On-the-fly Gradient Modulation. CVPR 2022 (on-the-fly gradient modulation, and generalization
      enhancement). https://arxiv.org/abs/2203.15332
    """
    check_number("alpha", alpha, "[0, inf)")
    check_flag("noise", noise)
    check_choice("tensors", tensors, TENSORS)
    check_until_step(until_step)

    def init_fn(params: optax.Params) -> OgmGeState:
        modalities = resolve_partition(labels, params, other).modalities
        dtype = accumulation_dtype(params)
        coefficients = {m: jnp.ones((), dtype) for m in modalities}
        return OgmGeState(jnp.zeros((), jnp.int32), coefficients, raw_key(key))

    def update_fn(
        updates: optax.Updates,
        state: OgmGeState,
        params: optax.Params | None = None,
        **signals: Any,
    ) -> tuple[Any, OgmGeState]:
        require_structure({"updates": updates}, updates if params is None else params)
        partition = resolve_partition(labels, updates if params is None else params, other)
        dtype = accumulation_dtype(state.coefficients)
        confidence, usable = read_scalars("ogm_ge", "confidence", signals, partition, dtype)
        coefficients = _coefficients(confidence, usable, jnp.asarray(alpha, dtype))
        active = jnp.ones((), bool) if until_step is None else state.count < until_step
        coefficients = jnp.where(active, coefficients, 1)
        scaled = scale_encoders(updates, partition, coefficients, tensors)
        next_key = state.key
        if noise:
            draw_key, next_key = split_raw(state.key)
            scaled = _add_noise(scaled, updates, partition, draw_key, active, dtype, tensors)
        named = dict(zip(partition.modalities, coefficients, strict=True))
        return scaled, OgmGeState(optax.safe_increment(state.count), named, next_key)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _coefficients(confidence: jax.Array, usable: jax.Array, alpha: jax.Array) -> jax.Array:
    """The coefficient k of every modality, ``[M]``."""
    rivals = usable[None, :] & ~jnp.eye(len(confidence), dtype=bool)
    count = jnp.sum(rivals, axis=1)
    total = jnp.sum(jnp.where(rivals, confidence[None, :], 0), axis=1)
    others = total / jnp.maximum(count, 1).astype(confidence.dtype)
    tiny = jnp.finfo(confidence.dtype).tiny
    ratio = jnp.minimum(confidence / jnp.maximum(others, tiny), _LARGEST_RATIO)
    ahead = (count > 0) & (confidence > others)
    return jnp.where(ahead, 1 - jnp.tanh(alpha * ratio), 1)


def _add_noise(
    tree: chex.ArrayTree,
    gradients: chex.ArrayTree,
    partition: Partition,
    key: chex.PRNGKey,
    active: jax.Array,
    dtype: Any,
    tensors: Tensors,
) -> Any:
    """``tree`` with normal noise of each gradient's standard deviation in the encoders' leaves."""
    leaves, structure = jax.tree.flatten(tree)
    for m in partition.modalities:
        for i in partition.positions(m):
            gradient = jax.tree.leaves(gradients)[i]
            if not is_modulated(gradient, tensors) or gradient.size < 2:
                continue
            std = jnp.where(active, jnp.std(gradient.astype(dtype), ddof=1), 0)
            draw = jax.random.normal(jax.random.fold_in(key, i), gradient.shape, dtype)
            leaves[i] = (leaves[i].astype(dtype) + std * draw).astype(leaves[i].dtype)
    return jax.tree.unflatten(structure, leaves)


@dataclasses.dataclass(frozen=True)
class OgmGeOptions(Options):
    """Options of the method ``ogm_ge``.

    Attributes:
      alpha: α, how strongly the modality that is ahead is held back.
      noise: add Gaussian noise with the gradient's standard deviation (GE).
      tensors: which tensors of an encoder are modulated, see `ogm_ge`.
      modulation_epochs: how many epochs are modulated, from the first; 0 for all of them.
      modulation_share: the share of the run's steps that is modulated, from the first; where
        ``modulation_epochs`` ends earlier, that counts.
      weight: λ, the weight of every unimodal loss in the total loss; 0, as in the paper, leaves
        unimodal heads untrained.
    """

    alpha: float = option(0.3, "[0, inf)", "α={}", always=True)
    noise: bool = option(True, title="")
    tensors: Tensors = option("all", title="{}")
    modulation_epochs: int = option(0, "[0, inf)", "{} epochs")
    modulation_share: float = option(1.0, "(0, 1]", "first {}")
    weight: float = option(0.0, "[0, inf)", "λ={}")


def _build(
    options: OgmGeOptions, labels: Labels, context: Context
) -> optax.GradientTransformationExtraArgs:
    ends = (
        [options.modulation_epochs * context.steps_per_epoch] if options.modulation_epochs else []
    )
    if options.modulation_share < 1:
        ends.append(round(options.modulation_share * context.steps))
    until_step = min(ends, default=None)
    return call(ogm_ge, options, context, labels=labels, until_step=until_step)


OGM_GE = register(
    Method(
        name="ogm_ge",
        summary="scales down the gradient of the encoder that is ahead, and adds Gaussian noise",
        options=OgmGeOptions,
        build=_build,
        title=lambda options: title_of("OGM-GE" if options.noise else "OGM", options),
        loss_weight=lambda options: options.weight,
        signals=("confidence",),
        reports={"gradient_factor": "k, what the encoder's gradient is multiplied with"},
        search={"alpha": Uniform(0.1, 1.0)},
    )
)
