"""Late fusion trained by the fusion loss alone; its unimodal heads stay untrained."""

import dataclasses

from masam_jax.methods.from_options import titled
from masam_jax.methods.method import Method
from masam_jax.methods.registry import register


@dataclasses.dataclass(frozen=True)
class FusionOnlyOptions:
    """``fusion_only`` has no options."""


FUSION_ONLY = register(
    Method(
        name="fusion_only",
        summary="fusion loss alone (unimodal heads stay untrained)",
        options=FusionOnlyOptions,
        title=titled("fusion loss alone"),
        loss_weight=lambda options: 0.0,
    )
)
