"""MMPareto: fusion and unimodal gradients of an encoder joined so that neither loss rises."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.numerics import accumulation_dtype, all_finite, total
from masam_jax.core.partition import Labels, resolve_partition
from masam_jax.core.signal_checks import require_signals, require_structure
from masam_jax.core.specs import Options, check_number, option
from masam_jax.methods.from_options import built_by, titled
from masam_jax.methods.method import Method
from masam_jax.methods.registry import register
from masam_jax.methods.report import Report
from masam_jax.methods.search import Uniform

_REPORTS = {
    "fusion_weight": "w of the fusion gradient; that of the unimodal one is 1 − w",
    "rescale_factor": "‖f + u‖ / ‖h‖, what makes the gradient as long as the sum; 0 for none",
}


class MMParetoState(NamedTuple):
    """The state of `mmpareto`.

    Attributes:
      report: of the last step, see `method_report`: ``fusion_weight``, w_f of each encoder;
        ``rescale_factor``, ‖f + u‖ / ‖h‖ without γ, 0 where the encoder stays.
    """

    report: Report


def mmpareto(
    labels: Labels, *, gamma: chex.Numeric = 1.5, other: str = "other"
) -> optax.GradientTransformationExtraArgs:
    r"""Unimodal assistance without conflict, as a correction on every encoder's gradient.

    For each encoder as one vector, with $f = \nabla_{\theta_m} L_{fuse}$ and
    $u = \nabla_{\theta_m} L_m$, the weights are those of the shortest convex combination
    where the two conflict,

    $$
    \begin{aligned}
    (w_f, w_u) &= (\tfrac12, \tfrac12) \quad \text{if } f \cdot u > 0, \quad\text{else}\quad
    \arg\min_{w_f + w_u = 1,\, w \ge 0} \|w_f f + w_u u\|^2
    = \frac{(u \cdot (u - f),\; f \cdot (f - u))}{\|f - u\|^2} \\
    h &= 2 w_f f + 2 w_u u, \qquad
    g = \gamma \, h \max\!\left(1, \frac{\|f + u\|}{\|h\|}\right)
    \end{aligned}
    $$

    and the encoder's update changes by $g - \nabla_{\theta_m} L_{total}$, so that what
    earlier transformations of a chain have done to it stays. To first order neither loss
    rises along $-g$. As $h / 2$ is the shortest combination and the mean is one,
    $\|h\| \le \|f + u\|$: the maximum is always the ratio, and
    $\|g\| = \gamma \|f + u\|$. Where ``h = 0`` (a zero gradient, or opposite ones up to the
    square root of the rounding error, below which no direction survives it) ``g = 0``: no direction
    serves both. Parameters labelled ``other`` keep their update, and so does an encoder whose
    correction is not finite. Every encoder meets its own two gradients alone: any number of
    modalities works, one included.

    ``update`` needs the signals ``fusion_grads`` and ``unimodal_grads`` of
    `multimodal_value_and_grad` (or ``per_modality_grads``, where encoders share parameters);
    ``total_grads`` are the incoming updates without it. The unimodal gradients are unweighted: λ
    reaches ``other`` alone. A constant γ does nothing under base optimizers that ignore the scale
    of gradients, Adam among them; the paper trains with SGD.

    Args:
      labels: the modality of each parameter: a tree of strings, a prefix of it, or a callable of
        params.
      gamma: γ > 0, the magnitude; above 1 it adds to the noise of SGD.
      other: the label of the leaves that belong to no modality.

    Returns:
      The transformation, with an `MMParetoState`.

    Raises:
      ValueError: γ is out of range, the labels name no modality or do not fit the parameters, or
        ``params`` or a signal is missing or of another structure.

    References:
      Yake Wei, Di Hu. MMPareto: Boosting Multimodal Learning with Innocent Unimodal Assistance.
      ICML 2024. https://arxiv.org/abs/2405.17730

    Differences from the release:
      The release takes the cosine and the weights over the whole encoder, as here, and then the
      factor ``max(1, ‖f + u‖ / ‖h‖)`` of every tensor alone, which may turn the encoder's gradient
      against one of the losses. It clamps the weights to [.001, .999], which matters only for a
      zero gradient (of two conflicting ones the weights are inside by themselves): after the factor
      the other gradient comes out at full length there. Where ``h`` vanishes it divides by zero.
    """
    check_number("gamma", gamma, "(0, inf)")

    def init_fn(params: optax.Params) -> MMParetoState:
        modalities = resolve_partition(labels, params, other).modalities
        dtype = accumulation_dtype(params)
        return MMParetoState(
            {name: {m: jnp.zeros((), dtype) for m in modalities} for name in _REPORTS}
        )

    def update_fn(
        updates: optax.Updates,
        state: MMParetoState,
        params: optax.Params | None = None,
        **signals: Any,
    ) -> tuple[Any, MMParetoState]:
        if params is None:
            raise ValueError(
                "mmpareto needs params: tx.update(grads, opt_state, params, **signals)"
            )
        partition = resolve_partition(labels, params, other)
        total = signals.get("total_grads")
        trees = {
            "updates": updates,
            "fusion_grads": signals.get("fusion_grads"),
            "unimodal_grads": signals.get("unimodal_grads"),
            "total_grads": updates if total is None else total,
        }
        require_signals("mmpareto", trees, trees)
        require_structure(trees, params)
        leaves = {name: jax.tree.leaves(tree) for name, tree in trees.items()}
        each = signals.get("per_modality_grads")
        corrected = list(leaves["updates"])
        report: Report = {name: {} for name in _REPORTS}
        for m in partition.modalities:
            mine = partition.positions(m)
            fusion = [leaves["fusion_grads"][i] for i in mine]
            own = leaves["unimodal_grads"] if each is None else jax.tree.leaves(each[m])
            dtype = accumulation_dtype(fusion)
            joined, *said = _join(fusion, [own[i] for i in mine], gamma, dtype)
            for name, value in zip(_REPORTS, said, strict=True):
                report[name][m] = value.astype(state.report[name][m].dtype)
            changes = [
                (g - leaves["total_grads"][i].astype(g.dtype)).astype(corrected[i].dtype)
                for g, i in zip(joined, mine, strict=True)
            ]
            keep = all_finite(changes)
            for change, i in zip(changes, mine, strict=True):
                corrected[i] = corrected[i] + jnp.where(keep, change, jnp.zeros_like(change))
        tree = jax.tree.unflatten(jax.tree.structure(updates), corrected)
        return tree, MMParetoState(report)

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


def _join(
    fusion: Sequence[jax.Array], unimodal: Sequence[jax.Array], gamma: Any, dtype: Any
) -> tuple[list[jax.Array], jax.Array, jax.Array]:
    """One encoder's ``g``, leaf by leaf, with ``w_f`` and ``‖f + u‖ / ‖h‖``."""
    zero, one = jnp.zeros((), dtype), jnp.ones((), dtype)
    fusion, fusion_unit = _in_own_units(fusion, dtype)
    unimodal, unimodal_unit = _in_own_units(unimodal, dtype)
    unit = jnp.maximum(fusion_unit, unimodal_unit)
    safe = jnp.where(unit > 0, unit, one)
    a, b = fusion_unit / safe, unimodal_unit / safe
    dot = _inner(fusion, unimodal, zero)
    fusion_square = _inner(fusion, fusion, zero)
    unimodal_square = _inner(unimodal, unimodal, zero)
    # h up to a positive factor: its length is never more than that of f + u, so that the maximum
    # of the rule is the ratio, and the factor is free. These stay exact where one gradient is
    # smaller than the other by more than the dtype's precision, or even its range.
    agree = dot > 0
    of_fusion = jnp.where(agree, a, b * unimodal_square - a * dot)
    of_unimodal = jnp.where(agree, b, a * fusion_square - b * dot)
    pairs = list(zip(fusion, unimodal, strict=True))
    direction = [of_fusion * f + of_unimodal * u for f, u in pairs]
    plain = [a * f + b * u for f, u in pairs]
    length = jnp.sqrt(_inner(direction, direction, zero))
    terms = of_fusion * jnp.sqrt(fusion_square) + of_unimodal * jnp.sqrt(unimodal_square)
    usable = length > terms * jnp.finfo(dtype).eps ** 0.5
    ratio = jnp.sqrt(_inner(plain, plain, zero)) / jnp.where(usable, length, one)
    factor = jnp.asarray(gamma, dtype) * ratio * unit
    joined = [jnp.where(usable, factor * leaf, jnp.zeros_like(leaf)) for leaf in direction]
    # The weights of f and u themselves are these over a and b.
    share, sum_of_both = of_fusion * b, of_fusion * b + of_unimodal * a
    weight = jnp.where(sum_of_both > 0, share / jnp.where(sum_of_both > 0, sum_of_both, one), 0.5)
    both = jnp.where(a * b > 0, a * b, one)
    return joined, weight, jnp.where(usable, ratio * sum_of_both / (2 * both), zero)


def _in_own_units(leaves: Sequence[jax.Array], dtype: Any) -> tuple[list[jax.Array], jax.Array]:
    """The leaves divided by their largest entry, whose squares are in range, and that entry."""
    unit = jnp.zeros((), dtype)
    for leaf in leaves:
        unit = jnp.maximum(unit, jnp.max(jnp.abs(leaf), initial=0).astype(dtype))
    safe = jnp.where(unit > 0, unit, jnp.ones_like(unit))
    return [leaf.astype(dtype) / safe for leaf in leaves], unit


def _inner(left: Sequence[jax.Array], right: Sequence[jax.Array], zero: jax.Array) -> jax.Array:
    return total([jnp.sum(a * b) for a, b in zip(left, right, strict=True)], zero.dtype)


@dataclasses.dataclass(frozen=True)
class MMParetoOptions(Options):
    """Options of the method ``mmpareto``.

    Attributes:
      gamma: γ, the magnitude of the joined gradient; nothing to a base optimizer that ignores
        the scale of gradients.
      weight: λ, the weight of every unimodal loss in the total loss; it reaches the heads alone,
        and 0 leaves the unimodal heads untrained.
    """

    gamma: float = option(1.5, "(0, inf)", "γ={}", always=True)
    weight: float = option(1.0, "[0, inf)", " λ={}")


MMPARETO = register(
    Method(
        name="mmpareto",
        summary="per encoder, a direction that raises neither loss, at the sum's magnitude",
        options=MMParetoOptions,
        build=built_by(mmpareto),
        title=titled("MMPareto"),
        loss_weight=lambda options: options.weight,
        gradients=("fusion", "unimodal"),
        reports=_REPORTS,
        search={"gamma": Uniform(1.0, 3.0)},
    )
)
