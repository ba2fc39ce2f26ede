"""Sharpness-aware minimization of the whole model, on the same signals as MASAM."""

import dataclasses
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.partition import check_parameters
from masam_jax.core.point_dtype import PointDtype, check_point_dtype
from masam_jax.core.specs import Options, check_radius, option
from masam_jax.methods.from_options import built_by, titled
from masam_jax.methods.method import Method
from masam_jax.methods.registry import register
from masam_jax.methods.search import LogUniform
from masam_jax.methods.whole_model import add_correction


class SamState(NamedTuple):
    """The state of `sam`.

    Attributes:
      count: int32 scalar, the steps taken.
    """

    count: jax.Array  # type: ignore[assignment]


def sam(
    *, rho: chex.Numeric | optax.Schedule = 0.05, perturbed_dtype: PointDtype = "auto"
) -> optax.GradientTransformationExtraArgs:
    r"""Sharpness-aware minimization, as a correction on the total gradient.

    With $g = \nabla L_{total}(\theta)$ over all parameters as one vector,

    $$
    u \leftarrow u + \nabla L_{total}(\theta + \rho_t g / \|g\|_2) - g
    $$

    A zero or non-finite norm, or a perturbed gradient that is not finite, gives a clean step. The
    paper's ablation "SAM only". ``update`` needs the signal ``total_grad_fn`` of
    `multimodal_value_and_grad`; ``g`` is the signal ``total_grads``, or the incoming updates
    without it.

    Args:
      rho: the radius ρ ≥ 0, in the units of the parameters, or a schedule of it over steps.
      perturbed_dtype: the dtype of perturbed parameters of fewer than 32 bits, as `masam` has it.

    Raises:
      ValueError: an argument is out of range, a parameter is masked or not real, or ``params`` or
        a signal is missing.

    References:
      Pierre Foret, Ariel Kleiner, Hossein Mobahi, Behnam Neyshabur. Sharpness-Aware Minimization
      for Efficiently Improving Generalization. ICLR 2021, equations 2 and 3.
      https://arxiv.org/abs/2010.01412
    """
    check_radius(rho)
    check_point_dtype(perturbed_dtype)

    def init_fn(params: optax.Params) -> SamState:
        check_parameters(params)
        return SamState(jnp.zeros((), jnp.int32))

    def update_fn(
        updates: optax.Updates, state: SamState, params: optax.Params | None = None, **signals: Any
    ) -> tuple[Any, SamState]:
        radius = rho(state.count) if callable(rho) else rho
        corrected = add_correction(
            "sam", updates, params, signals, radius=radius, point_dtype=perturbed_dtype
        )
        return corrected, SamState(optax.safe_increment(state.count))

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


@dataclasses.dataclass(frozen=True)
class SamOptions(Options):
    """Options of the method ``sam``.

    Attributes:
      rho: perturbation radius ρ, in units of parameters.
      weight: λ, the weight of every unimodal loss in the total loss.
    """

    rho: float = option(0.05, "[0, inf)", "ρ={}", always=True)
    weight: float = option(1.0, "(0, inf)", " λ={}")


SAM = register(
    Method(
        name="sam",
        summary="sharpness-aware minimization of the total loss, all parameters",
        options=SamOptions,
        build=built_by(sam),
        title=titled("SAM"),
        loss_weight=lambda options: options.weight,
        search={"rho": LogUniform(0.005, 5), "weight": LogUniform(0.1, 10)},
    )
)
