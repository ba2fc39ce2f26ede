"""Late fusion: the fusion loss plus λ times every unimodal loss, and nothing else."""

import dataclasses
from typing import Literal

from masam_jax.core.specs import Options, option
from masam_jax.methods.from_options import titled
from masam_jax.methods.mean_prediction import MeanOfHeadsObjective
from masam_jax.methods.method import Context, Method
from masam_jax.methods.objective import LATE_FUSION_OBJECTIVE, Objective
from masam_jax.methods.registry import register
from masam_jax.methods.search import LogUniform


@dataclasses.dataclass(frozen=True)
class LateFusionOptions(Options):
    """Options of ``late_fusion``.

    Attributes:
      weight: λ, the weight of every unimodal loss in the total loss.
      predict: what predicts: the ``fusion`` head, or the ``mean`` of the log-probabilities (of
        numbers, the estimates) of all modalities' own heads, as ``unimodal`` does, those included
        that a sample lacks. Training is the same. A mean says nothing that only several modalities
        together know, as XOR of two, and the estimates' mean is nearer to the targets' mean.
    """

    weight: float = option(1.0, "(0, inf)", " λ={}")
    predict: Literal["fusion", "mean"] = option("fusion", title=" by the mean of its heads")


def _objective(options: LateFusionOptions, context: Context) -> Objective:
    return LATE_FUSION_OBJECTIVE if options.predict == "fusion" else MeanOfHeadsObjective()


def _fusion_head(name: Literal["concat", "sum", "film", "gated"], words: str) -> Method:
    """Late fusion through one fusion head, whatever head the experiment has."""
    return Method(
        name=name,
        summary=f"late fusion through {words}",
        options=LateFusionOptions,
        title=titled(f"{name} fusion"),
        loss_weight=lambda options: options.weight,
        fusion=lambda options: name,
        objective=_objective,
        search={"weight": LogUniform(0.1, 10)},
    )


LATE_FUSION = register(
    Method(
        name="late_fusion",
        summary="fusion loss + λ · unimodal losses (the usual baseline)",
        options=LateFusionOptions,
        title=titled("late fusion"),
        loss_weight=lambda options: options.weight,
        objective=_objective,
        search={"weight": LogUniform(0.1, 10)},
    )
)
CONCAT = register(_fusion_head("concat", "one dense layer over all features"))
SUM = register(_fusion_head("sum", "a sum of logits, one dense layer a modality"))
FILM = register(_fusion_head("film", "feature-wise linear modulation (Perez et al. 2018)"))
GATED = register(_fusion_head("gated", "sigmoid gates (Kiela et al. 2018)"))
