"""What a `masam` is set to: what is known while tracing, and numbers that need not be."""

import dataclasses
from typing import Any, NamedTuple

from masam_jax.core.point_dtype import PointDtype


@dataclasses.dataclass(frozen=True)
class RuleOptions:
    """The options of a `masam` that are known while tracing; hashable, for ``jit``.

    Attributes:
      select: one of `masam_jax.core.choice.SELECTIONS`, or a modality.
      decay: the learning speed in the score: "absolute", "relative" or "standardized".
      scale_by_alignment: whether γ scales the radius.
      alignment: of what γ is: "partition", "per_tensor" or "features".
      clip_negative: whether a negative γ counts as 0.
      radius: in what ρ counts: "absolute", "relative" or "filter".
      correct_other: whether leaves of no modality are corrected too.
      along_total: whether ε goes along the total gradient.
      point_dtype: the dtype of perturbed parameters of fewer than 32 bits.
      dispatch: "auto", "switch", "dense" or "host".
      reuse: what of a correction later steps take: "orthogonal", "whole" or "none".
      times: how many times a correction counts at the step that measures it.
    """

    select: str
    decay: str
    scale_by_alignment: bool
    alignment: str
    clip_negative: bool
    radius: str
    correct_other: bool
    along_total: bool
    point_dtype: PointDtype
    dispatch: str
    reuse: str
    times: int = 1

    @property
    def reuses(self) -> bool:
        """Whether steps reuse a correction."""
        return self.reuse != "none"

    @property
    def at_features(self) -> bool:
        """Whether γ is that of the gradients at the features."""
        return self.alignment == "features"


class Hyperparameters(NamedTuple):
    """The numbers of a `masam`, which may be traced; None for those that its options do not read.

    Attributes:
      radius: ρ at this step.
      alpha: α.
      beta: β.
      eta: η of ``radius="filter"``.
      fit_exponent: κ of the radius's factor e^(−κ L_m).
      temperature: τ of ``select="soft"``.
      smoothing: κ, how much of the last smoothed score stays.
      hysteresis: h, by how much another modality must lead to be chosen.
    """

    radius: Any
    alpha: Any
    beta: Any
    eta: Any = None
    fit_exponent: Any = None
    temperature: Any = None
    smoothing: Any = None
    hysteresis: Any = None
