"""Late fusion: the fusion loss plus λ times every unimodal loss, and nothing else."""

import dataclasses

import optax

from masam_jax.methods.options import require, with_weight
from masam_jax.methods.registry import Method, register


@dataclasses.dataclass(frozen=True)
class LateFusionOptions:
    """Options of ``late_fusion``.

    Attributes:
      weight: λ, the weight of every unimodal loss in the total loss.
    """

    weight: float = 1.0

    def __post_init__(self) -> None:
        require(0 < self.weight < float("inf"), "weight", self.weight, "a positive number")


LATE_FUSION = register(
    Method(
        name="late_fusion",
        summary="fusion loss + λ · unimodal losses (the usual baseline)",
        options=LateFusionOptions,
        build=lambda options, labels, key: optax.with_extra_args_support(optax.identity()),
        title=lambda options: with_weight("late fusion", options.weight),
        loss_weight=lambda options: options.weight,
    )
)
