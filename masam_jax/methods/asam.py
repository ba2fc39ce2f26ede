"""Adaptive sharpness-aware minimization: SAM with a radius in proportion to the weights."""

import dataclasses
import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from masam_jax.core.normalization import elementwise
from masam_jax.core.partition import check_parameters
from masam_jax.core.point_dtype import PointDtype, check_point_dtype
from masam_jax.core.specs import Options, check_number, check_radius, option
from masam_jax.methods.from_options import built_by, titled
from masam_jax.methods.method import Method
from masam_jax.methods.registry import register
from masam_jax.methods.search import LogUniform
from masam_jax.methods.whole_model import add_correction


class AsamState(NamedTuple):
    """The state of `asam`.

    Attributes:
      count: int32 scalar, the steps taken.
    """

    count: jax.Array  # type: ignore[assignment]


def asam(
    *,
    rho: chex.Numeric | optax.Schedule = 0.5,
    eta: chex.Numeric = 0.01,
    perturbed_dtype: PointDtype = "auto",
) -> optax.GradientTransformationExtraArgs:
    r"""Adaptive sharpness-aware minimization, as a correction on the total gradient.

    With $g = \nabla L_{total}(\theta)$ over all parameters as one vector, and the diagonal
    operator $T_\theta$ that is $|\theta_i| + \eta$ for a weight and 1 for a bias,

    $$
    \begin{aligned}
    \epsilon &= \rho_t \, T_\theta^2 g / \|T_\theta g\|_2 \\
    u &\leftarrow u + \nabla L_{total}(\theta + \epsilon) - g
    \end{aligned}
    $$

    so that $\|T_\theta^{-1} \epsilon\|_2 = \rho_t$. With η = 0 this does not depend on how
    scale is shared between layers that follow each other, which the loss of a rectifier network
    does not either. A bias is a leaf of fewer than two dimensions. A zero or non-finite norm, or a
    perturbed gradient that is not finite, gives a clean step.

    ``update`` needs the signal ``total_grad_fn`` of `multimodal_value_and_grad`; ``g`` is the
    signal ``total_grads``, or the incoming updates without it. It knows nothing of modalities.

    Args:
      rho: the radius ρ ≥ 0, relative to the size of the weights, or a schedule of it over steps.
      eta: η ≥ 0, added to every weight's size, so that weights near zero move too.
      perturbed_dtype: the dtype of perturbed parameters of fewer than 32 bits, as `masam` has it.

    Raises:
      ValueError: an argument is out of range, a parameter is masked or not real, or ``params`` or
        a signal is missing.

    Differences from the release:
      - The release normalises the tensors with "weight" in their name. That includes the
        one-dimensional scales of batch and layer normalisation, which count as biases here.
      - The release adds 1e-16 to the norm; here a zero norm gives a clean step.
      - Its training example has η = 0 by default, its optimizer and the paper 0.01.

    References:
      Jungmin Kwon, Jeongseop Kim, Hyunseo Park, In Kwon Choi. ASAM: Adaptive Sharpness-Aware
      Minimization for Scale-Invariant Learning of Deep Neural Networks. ICML 2021 (the element-wise
      operator). https://arxiv.org/abs/2102.11600
    """
    check_radius(rho)
    check_point_dtype(perturbed_dtype)
    check_number("eta", eta, "[0, inf)")

    def init_fn(params: optax.Params) -> AsamState:
        check_parameters(params)
        return AsamState(jnp.zeros((), jnp.int32))

    def update_fn(
        updates: optax.Updates, state: AsamState, params: optax.Params | None = None, **signals: Any
    ) -> tuple[Any, AsamState]:
        corrected = add_correction(
            "asam",
            updates,
            params,
            signals,
            radius=rho(state.count) if callable(rho) else rho,
            point_dtype=perturbed_dtype,
            normalization=functools.partial(elementwise, eta=eta),
        )
        return corrected, AsamState(optax.safe_increment(state.count))

    return optax.GradientTransformationExtraArgs(init_fn, update_fn)


@dataclasses.dataclass(frozen=True)
class AsamOptions(Options):
    """Options of the method ``asam``.

    Attributes:
      rho: perturbation radius ρ, relative to the size of the weights.
      eta: η, added to the size of every weight.
      weight: λ, the weight of every unimodal loss in the total loss, as for ``sam``; 0 leaves
        unimodal heads untrained.
    """

    rho: float = option(0.5, "[0, inf)", "ρ={}", always=True)
    eta: float = option(0.01, "[0, inf)", "η={}")
    weight: float = option(1.0, "[0, inf)", " λ={}")


ASAM = register(
    Method(
        name="asam",
        summary="SAM with a radius in proportion to the weights, all parameters",
        options=AsamOptions,
        build=built_by(asam),
        title=titled("ASAM"),
        loss_weight=lambda options: options.weight,
        search={"rho": LogUniform(0.05, 50.0)},
    )
)
