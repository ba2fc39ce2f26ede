"""Late fusion trained by the fusion loss alone; its unimodal heads stay untrained."""

import dataclasses

import optax

from masam_jax.methods.registry import Method, register


@dataclasses.dataclass(frozen=True)
class FusionOnlyOptions:
    """``fusion_only`` has no options."""


FUSION_ONLY = register(
    Method(
        name="fusion_only",
        summary="fusion loss alone (unimodal heads stay untrained)",
        options=FusionOnlyOptions,
        build=lambda options, labels, key: optax.with_extra_args_support(optax.identity()),
        title=lambda options: "fusion loss alone",
        loss_weight=lambda options: 0.0,
    )
)
