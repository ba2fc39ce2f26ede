"""Sharpness in SAM's sense: how much the loss can rise within a ball around the parameters."""

import dataclasses
import functools
import math
from collections.abc import Iterable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from masam_jax.core.numerics import inverse_norm, norm
from masam_jax.core.partition import Labels
from masam_jax.core.specs import check_choice, check_flag, check_number, check_sizes
from masam_jax.geometry.derivatives import LossFn, Positions
from masam_jax.geometry.mean_loss import MeanLoss, as_vector, from_vector
from masam_jax.geometry.parts import parts_and_whole


@dataclasses.dataclass(frozen=True)
class Sharpness:
    """The largest increase of the loss that was found in a ball.

    Attributes:
      increase: of the loss, over all steps; never below 0.
      one_step: that at SAM's point, ρ along the gradient.
      radius: the ball's, absolute.
      loss: the loss at the parameters.
      norm: ``‖θ‖₂`` of the parameters that are moved.
    """

    increase: float
    one_step: float
    radius: float
    loss: float
    norm: float


def sharpness(
    loss_fn: LossFn,
    params: optax.Params,
    batches: Iterable[Any],
    *,
    labels: Labels | None = None,
    rho: float = 0.05,
    radius: Literal["absolute", "relative"] = "absolute",
    steps: int = 1,
    adaptive: bool = False,
) -> dict[str, Sharpness]:
    r"""The largest increase of the loss in a ball around every encoder, and around everything.

    $$
    \max_{\|T^{-1} \epsilon\|_2 \le \rho} L(\theta + \epsilon) - L(\theta)
    $$

    with $T = 1$, or $T = \operatorname{diag}(|\theta|)$ if ``adaptive``, which rescaling the
    network without changing its function does not change. The first step is SAM's (ASAM's),
    $\epsilon = \rho \, T^2 g / \|T g\|_2$; each further one ascends from there by
    $\rho / \sqrt{t}$ along the gradient at the point reached, and is projected back into the
    ball. The largest increase seen counts: a lower bound of the maximum. The gradient is that of
    all batches, not one for each.

    In float32 the loss has seven digits: where its increase is less than 1e-5 of it, take a larger
    ρ, or float64.

    Args:
      loss_fn: as for `hessian_trace`, deterministic.
      params: the parameters.
      batches: an iterable of pytrees, read anew ``steps + 1`` times for each part.
      labels: whose parameter is whose; None for the whole alone.
      rho: the radius ρ > 0.
      radius: "relative" multiplies ρ with $\|T^{-1} \theta\|_2$ of the part: with its norm, or if
        ``adaptive`` with the root of the number of its parameters.
      steps: gradients for each part; 1 for SAM's point alone.
      adaptive: whether the ball is in proportion to each parameter's size.

    Returns:
      ``{"all": …, modality: …}``, and ``"other"`` for the leaves of no modality where there are
      any; in each, the other parameters stay.  An increase is infinite where the loss is not finite
      at a point of the ball.

    Raises:
      TypeError: the loss is no real scalar.
      ValueError: as for `hessian_trace`.

    Examples:
      >>> import jax.numpy as jnp
      >>> from masam_jax.geometry import sharpness
      >>> def loss_fn(params, batch):
      ...     return params["audio"] ** 2 + 10.0 * params["video"] ** 2
      >>> params = {"audio": jnp.ones(()), "video": jnp.zeros(())}
      >>> found = sharpness(loss_fn, params, [None], labels={"audio": "a", "video": "v"}, rho=0.5)
      >>> found["a"].increase  # 1.5 ** 2 - 1
      1.25
      >>> found["v"].increase  # at its minimum there is no direction to go
      0.0

    References:
      Foret et al., Sharpness-aware minimization for efficiently improving generalization, ICLR
      2021. https://arxiv.org/abs/2010.01412
      Kwon et al., ASAM, ICML 2021. https://arxiv.org/abs/2102.11600
      Andriushchenko et al., A modern look at the relationship between sharpness and
      generalization, ICML 2023 (T for every parameter, biases too).
      https://arxiv.org/abs/2302.07011
    """
    check_number("rho", rho, "(0, inf)")
    check_choice("radius", radius, ("absolute", "relative"))
    check_sizes(steps=steps)
    check_flag("adaptive", adaptive)
    mean_loss = MeanLoss(loss_fn, params, batches)
    found = {}
    for name, positions in parts_and_whole(labels, mean_loss.params).items():
        ball = _Ball(mean_loss, positions, rho, radius == "relative", adaptive)
        found[name] = ball.ascend(steps)
    return found


class _Ball:
    """Points ``θ + T u`` with ``‖u‖₂ ≤ ρ``, of some leaves."""

    def __init__(
        self,
        mean_loss: MeanLoss,
        positions: Positions,
        rho: float,
        is_relative: bool,
        adaptive: bool,
    ) -> None:
        self._mean_loss = mean_loss
        self._positions = positions
        leaves = jax.tree.leaves(mean_loss.params)
        center = as_vector([leaves[i] for i in positions], mean_loss.dtype)
        self._scale = jnp.abs(center) if adaptive else jnp.ones_like(center)
        self._radius = rho
        if is_relative:
            extent = jnp.where(self._scale > 0, center / self._scale, 0)
            self._radius = rho * float(norm([extent], mean_loss.dtype))

    def ascend(self, steps: int) -> Sharpness:
        mean_loss, positions = self._mean_loss, self._positions
        place = jnp.zeros_like(self._scale)
        increases = []
        for step in range(1, steps + 1):
            value, gradient = mean_loss.value_and_grad(self._point(place), positions)
            if step > 1:
                increases.append(self._increase(value))
            length = self._radius / math.sqrt(step)
            place = _stepped(place, self._scale, gradient, length, self._radius)
        increases.append(self._increase(mean_loss.at(self._point(place))))
        return Sharpness(
            increase=max(0.0, *increases),
            one_step=increases[0],
            radius=self._radius,
            loss=mean_loss.loss,
            norm=mean_loss.norm(positions),
        )

    def _point(self, place: jax.Array) -> Any:
        return _moved(self._positions, self._mean_loss.params, self._scale * place)

    def _increase(self, loss: float) -> float:
        return loss - self._mean_loss.loss if math.isfinite(loss) else math.inf


@functools.partial(jax.jit, static_argnames=("positions",))
def _moved(positions: Positions, params: Any, offset: jax.Array) -> Any:
    leaves, structure = jax.tree.flatten(params)
    own = [leaves[i] for i in positions]
    for i, leaf, change in zip(positions, own, from_vector(offset, own), strict=True):
        leaves[i] = leaf + change
    return jax.tree.unflatten(structure, leaves)


@jax.jit
def _stepped(
    place: jax.Array, scale: jax.Array, gradient: list[jax.Array], length: float, radius: float
) -> jax.Array:
    """A step along the gradient by ``u``, back in the ball; none where that is zero or infinite."""
    dtype = place.dtype
    direction = scale * as_vector(gradient, dtype)
    one_over = inverse_norm([direction], dtype)
    ahead = place + jnp.where(one_over > 0, jnp.asarray(length, dtype) * one_over * direction, 0)
    return ahead * jnp.minimum(1, jnp.asarray(radius, dtype) * inverse_norm([ahead], dtype))
